-- io.open in each mode, on a packed file, a new one, a directory and a wrong path.
package.path = "/suite/lib/?.lua"
local check = require("check")
local show = check.show

for _, mode in ipairs { "r", "w", "a", "r+", "w+", "a+", "rb", "wb", "ab", "r+b", "w+b", "a+b" } do
  for _, path in ipairs { "/data/poem.txt", "/work/new-" .. mode, "/work", "/none/file", "/data/poem.txt/below" } do
    local name = mode .. " " .. path
    local file, message, code = io.open(path, mode)
    if not file then
      show(name, file, message, code)
    else
      show(name .. " read", file:read(5))
      show(name .. " write", file:write("<", mode, ">") and true)
      show(name .. " flush", file:flush() and true)
      show(name .. " at", file:seek())
      show(name .. " end", file:seek("end"))
      show(name .. " start", file:seek("set"))
      show(name .. " all", file:read("a"))
      show(name .. " close", file:close())
    end
  end
end
show("the poem", check.read("/data/poem.txt"))
show("wrong mode", pcall(io.open, "/work/x", "rw"))
show("closed", pcall(function()
  local file = io.open("/data/poem.txt")
  file:close()
  return file:read()
end))
