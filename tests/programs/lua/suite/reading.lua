-- Every format of read, lines in all its forms, the default files.
package.path = "/suite/lib/?.lua"
local check = require("check")
local show = check.show

check.write("/work/numbers", " 12 -3.5e2 0x1F .5 nonsense 7\n\n  99")
local file = assert(io.open("/work/numbers"))
show("numbers", file:read("n", "n", "n", "n"))
show("no number", file:read("n"))
show("rest", file:read("l", "L", "n", "n"))
show("at the end", file:read("a"), file:read("a"), file:read("l"), file:read(0))
file:close()

check.write("/work/text", "one\ntwo\r\n\nfour\0inside\nlast without end")
for _, format in ipairs { "l", "L", "a", 0, 1, 3, 1000 } do
  file = assert(io.open("/work/text", "rb"))
  for i = 1, 8 do
    local got = file:read(format)
    show(format .. " " .. i, got)
    if got == nil or got == "" then break end
  end
  file:close()
end
show("bad format", pcall(function() return io.open("/work/text"):read("x") end))

for line in io.lines("/work/text") do show("io.lines", line) end
for line in io.lines("/work/text", "L") do show("io.lines L", line) end
for a, b in io.lines("/work/text", 1, 5) do show("io.lines 1 5", a, b) end
show("io.lines missing", pcall(io.lines, "/work/missing"))
file = assert(io.open("/work/text"))
for line in file:lines("l") do
  if line == "two\r" then break end
end
show("goes on", file:read("l", "l"))
show("still open", io.type(file))
file:close()

show("input", io.type(io.input("/work/text")))
show("io.read", io.read("l"), io.read(2))
io.close(io.input())
show("io.read closed", pcall(io.read))
local stdout = io.output()
io.output("/work/default")
io.write("written ", 1, " ", 2.5, "\n")
io.close()
io.output(stdout)
show("default output", check.read("/work/default"))
io.input(io.stdin)
show("stdin", io.read("l", "n", "l", "a"))
