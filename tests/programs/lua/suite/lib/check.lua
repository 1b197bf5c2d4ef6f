-- What the scripts share: results as lines.
local check = {}

local function shown(value)
  if type(value) == "string" then
    return #value > 70 and ("%d bytes, %q..."):format(#value, value:sub(1, 20)) or ("%q"):format(value)
  end
  -- A handle shows its address, which says nothing.
  return io.type(value) or tostring(value)
end

-- Prints what a call gave, all of its results.
function check.show(what, ...)
  local values = {}
  for i = 1, select("#", ...) do
    values[i] = shown((select(i, ...)))
  end
  print(what .. ": " .. table.concat(values, ", "))
  return ...
end

-- Writes a whole file.
function check.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

-- Reads a whole file.
function check.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

return check
