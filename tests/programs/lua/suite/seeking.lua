-- seek, setvbuf, and writing in the middle, behind and over the end.
package.path = "/suite/lib/?.lua"
local check = require("check")
local show = check.show

local file = assert(io.open("/work/seek", "w+b"))
file:write("0123456789")
show("cur", file:seek(), file:seek("cur", -3))
show("read", file:read(2))
show("end", file:seek("end", -1), file:read("a"))
show("before the start", file:seek("set", -1))
show("still", file:seek())
show("bad whence", pcall(file.seek, file, "middle"))
file:seek("set", 4)
file:write("ab")
show("middle", file:seek(), file:seek("set"), file:read("a"))
file:seek("end", 20)
file:write("beyond")
show("hole", file:seek("set", 8), file:read("a"))
show("far", file:seek("set", 1 << 40), file:read(1))
file:close()

for _, buffering in ipairs { "no", "line", "full" } do
  file = assert(io.open("/work/buffered", "w"))
  show(buffering, file:setvbuf(buffering, 64))
  file:write("half a line")
  local before = check.read("/work/buffered")
  file:write(" and its end\n")
  local line = check.read("/work/buffered")
  file:write(("x"):rep(200))
  local long = check.read("/work/buffered")
  file:close()
  show(buffering .. " shows", before, line)
  show(buffering .. " of 200", #long, #check.read("/work/buffered"))
end

-- Two handles on one file, and one on what was removed.
local a, b = assert(io.open("/work/two", "w")), assert(io.open("/work/two", "r"))
a:setvbuf("no")
show("nothing yet", b:read("a"))
a:write("first")
b:seek("cur", 0)
show("then", b:read("a"))
os.remove("/work/two")
a:write(" second")
b:seek("set")
show("though removed", b:read("a"))
show("gone", io.open("/work/two"))
a:close()
b:close()

-- A read after a write and the other way round need a seek; with it they agree.
file = assert(io.open("/data/poem.txt", "r+"))
show("first line", file:read("l"))
file:seek("cur", 0)
file:write("OVER")
file:seek("cur", 0)
show("after it", file:read("l"))
file:close()
