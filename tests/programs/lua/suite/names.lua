-- os.rename, os.remove, os.tmpname, io.tmpfile: results and error texts.
package.path = "/suite/lib/?.lua"
local check = require("check")
local show = check.show

check.write("/work/a", "a")
check.write("/work/b", "b")
show("rename onto", os.rename("/work/a", "/work/b"))
show("moved", check.read("/work/b"), io.open("/work/a"))
show("rename missing", os.rename("/work/a", "/work/c"))
show("rename to nowhere", os.rename("/work/b", "/none/b"))
show("rename file onto directory", os.rename("/work/b", "/data/sub"))
show("rename directory onto file", os.rename("/data/sub", "/work/b"))
show("rename a directory", os.rename("/data/sub", "/data/moved"))
show("inside it", check.read("/data/moved/inner.txt"))
show("into itself", os.rename("/data/moved", "/data/moved/deeper"))
show("onto itself", os.rename("/work/b", "/work/b"))
show("through a file", os.rename("/work/b/x", "/work/c"))
show("a link", os.rename("/data/link", "/work/link"))
show("read through it", io.open("/work/link"))

show("remove", os.remove("/work/b"))
show("remove again", os.remove("/work/b"))
show("remove a full directory", os.remove("/data/moved"))
show("remove what is in it", os.remove("/data/moved/inner.txt"))
show("remove an empty directory", os.remove("/data/moved"))
show("remove a link", os.remove("/work/link"))
show("remove below a file", os.remove("/data/poem.txt/x"))
show("empty name", os.remove(""))
show("long name", select(3, io.open("/work/" .. ("n"):rep(256), "w")))
show("longest name", io.open("/work/" .. ("n"):rep(255), "w"))
show("odd names", io.open("/work/ü ñ \n\t%s", "w"), io.open("/work/...", "w"), io.open("/work/ ", "w"))

local name = show("tmpname", os.tmpname())
check.write(name, "temporary")
show("holds", check.read(name))
show("next is another", os.tmpname() ~= name)
show("remove it", os.remove(name))
local file = show("tmpfile", io.tmpfile())
file:write("no name")
file:seek("set")
show("holds", file:read("a"))
file:close()

-- A handle that nobody closes is closed by the collector.
for i = 1, 3000 do
  local opened = assert(io.open("/data/poem.txt"), i)
  if i % 500 == 0 then
    opened = nil
    collectgarbage()
  end
end
collectgarbage()
do
  local closing <close> = assert(io.open("/work/closing", "w"))
  closing:write("closed on leaving")
end
show("closing", check.read("/work/closing"))

show("popen", pcall(io.popen, "ls"))
show("execute", os.execute())
show("execute ls", os.execute("ls"))
show("clock", type(os.clock()), type(os.time()), os.getenv("NOTHING"))
