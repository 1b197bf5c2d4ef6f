-- Text as HTML.
local html = {}

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

function html.escape(text)
    return (text:gsub('[&<>"]', entities))
end

function html.element(name, inner)
    return "<" .. name .. ">" .. inner .. "</" .. name .. ">"
end

return html
