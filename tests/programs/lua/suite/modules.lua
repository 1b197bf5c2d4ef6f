-- require, dofile, loadfile and searchpath on packed and on written modules.
package.path = "/suite/lib/?.lua;/suite/lib/?/init.lua;/work/?.lua"
local check = require("check")
local show = check.show

local nested = require("nested")
show("nested", nested.name, nested.from)
show("inner", nested.inner.name, nested.inner.from)
show("again", require("nested") == nested)
show("searchpath", package.searchpath("nested.inner", package.path))
show("searchpath missing", package.searchpath("no.such", package.path))
show("broken", pcall(require, "broken"))
show("missing", pcall(require, "missing"))

check.write("/work/written.lua", "return function(n) return n * 2 end")
show("written", require("written")(21))
check.write("/work/written.lua", "return 'changed'")
show("cached", type(require("written")))
package.loaded.written = nil
show("reloaded", (require("written")))
os.remove("/work/written.lua")
package.loaded.written = nil
show("removed", pcall(require, "written"))

show("loadfile", loadfile("/suite/lib/broken.lua"))
show("loadfile missing", loadfile("/suite/lib/none.lua"))
show("dofile missing", pcall(dofile, "/suite/lib/none.lua"))
check.write("/work/shebang", "#!/usr/bin/lua\nreturn ...")
show("shebang", assert(loadfile("/work/shebang"))(1, 2, 3))

local code = string.dump(function(a, b) return a .. b end)
check.write("/work/code.luac", code)
show("bytecode", assert(loadfile("/work/code.luac", "b"))("by", "te"))
show("bytecode as text", loadfile("/work/code.luac", "t"))
