-- Compiles libraries into the current directory:
--   lua compile.lua DIRECTORY NAME...

for i = 2, #arg do
    local name = arg[i]
    local compiled = string.dump(assert(loadfile(arg[1] .. "/" .. name .. ".lua")), true)
    local out = assert(io.open(name .. ".luac", "wb"))
    assert(out:write(compiled))
    assert(out:close())
    print("compiled " .. name .. ": " .. #compiled .. " bytes")
end
