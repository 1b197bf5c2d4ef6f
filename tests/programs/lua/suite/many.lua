-- Many files, large files: checked against what should be in them.
package.path = "/suite/lib/?.lua"
local check = require("check")
local show = check.show

-- A stand-in for chance that is the same everywhere.
local state = 12345
local function random(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n
end

local expected = {}
for i = 1, 6000 do
  local path = "/work/many-" .. random(300)
  local choice = random(10)
  if choice < 4 then
    local text = ("%d;"):format(i):rep(random(40))
    check.write(path, text)
    expected[path] = text
  elseif choice < 6 then
    local file = assert(io.open(path, "a"))
    file:write(i, "\n")
    file:close()
    expected[path] = (expected[path] or "") .. i .. "\n"
  elseif choice < 8 then
    local done, message = os.remove(path)
    assert((done ~= nil) == (expected[path] ~= nil), message)
    expected[path] = nil
  elseif choice < 9 then
    local to = "/work/many-" .. random(300)
    local done, message = os.rename(path, to)
    assert((done ~= nil) == (expected[path] ~= nil), message)
    if done and path ~= to then
      expected[to], expected[path] = expected[path], nil
    end
  else
    local file = io.open(path)
    assert((file ~= nil) == (expected[path] ~= nil), path)
    if file then
      assert(file:read("a") == expected[path], path)
      file:close()
    end
  end
end
local count, bytes = 0, 0
for path, text in pairs(expected) do
  assert(check.read(path) == text, path)
  os.remove(path)
  count, bytes = count + 1, bytes + #text
end
show("files", count, bytes)

-- 24 MB, written in pieces of odd sizes, read in others, cut and grown.
local file = assert(io.open("/work/large", "w+b"))
local piece = {}
for i = 0, 999 do piece[#piece + 1] = ("%07d\n"):format(i) end
piece = table.concat(piece):sub(1, 7919)
local size = 0
while size < 24 * 1000 * 1000 do
  assert(file:write(piece))
  size = size + #piece
end
show("size", file:seek("end") == size, size)
for _ = 1, 3000 do
  local at, want = random(size), random(30000)
  file:seek("set", at)
  local got = file:read(want) or ""
  local start = at % #piece
  local should = piece:rep((start + want) // #piece + 1):sub(start + 1, start + want)
  should = should:sub(1, size - at)
  assert(got == should, ("%d bytes at %d"):format(want, at))
end
-- Over it, at places of which none touches another.
for i = 0, 499 do
  file:seek("set", i * 47777)
  file:write(("[%05d]"):format(i))
end
for i = 499, 0, -1 do
  file:seek("set", i * 47777)
  assert(file:read(7) == ("[%05d]"):format(i), i)
end
local sum = 0
file:seek("set")
for block in file:lines(65537) do
  for i = 1, #block, 997 do sum = (sum * 31 + block:byte(i)) & 0xffffffff end
end
show("sum", sum)
file:close()
show("remove", os.remove("/work/large"))

-- As many handles as fit, all at once.
local handles = {}
for i = 1, 500 do
  handles[i] = assert(io.open("/work/handle-" .. i, "w+"))
  handles[i]:write(i)
end
for i = 500, 1, -1 do
  handles[i]:seek("set")
  assert(handles[i]:read("n") == i)
  handles[i]:close()
  assert(os.remove("/work/handle-" .. i))
end
show("handles", #handles)
