-- The everyday part of Markdown: headings, paragraphs, lists, code, emphasis, links.
local html = require("html")
local markdown = {}

local function inline(text)
    local kept = {}
    local function keep(what)
        kept[#kept + 1] = what
        return "\0" .. #kept .. "\0"
    end
    text = text:gsub("`([^`]+)`", function(code)
        return keep(html.element("code", html.escape(code)))
    end)
    text = html.escape(text)
    text = text:gsub("%[([^%]]+)%]%(([^%)]+)%)", '<a href="%2">%1</a>')
    text = text:gsub("%*%*(.-)%*%*", "<strong>%1</strong>")
    text = text:gsub("%*(.-)%*", "<em>%1</em>")
    return (text:gsub("%z(%d+)%z", function(at)
        return kept[tonumber(at)]
    end))
end

local function add(out, block)
    if #block == 0 then
        return
    elseif block.kind == "li" then
        local items = {}
        for i, line in ipairs(block) do
            items[i] = html.element("li", inline(line))
        end
        out[#out + 1] = html.element("ul", table.concat(items))
    elseif block.kind == "pre" then
        out[#out + 1] = html.element("pre", html.escape(table.concat(block, "\n")))
    else
        out[#out + 1] = html.element(block.kind, inline(table.concat(block, " ")))
    end
end

-- Answers the HTML and the first heading.
function markdown.convert(lines)
    local out, block, title = {}, { kind = "p" }, nil
    local function begin(kind)
        if block.kind ~= kind then
            add(out, block)
            block = { kind = kind }
        end
    end
    for line in lines do
        local level, heading = line:match("^(#+)%s+(.*)$")
        local item = line:match("^[-*]%s+(.*)$")
        local code = line:match("^    (.*)$")
        if level then
            begin("h" .. #level)
            block[1] = heading
            begin("p")
            title = title or heading
        elseif item then
            begin("li")
            block[#block + 1] = item
        elseif code then
            begin("pre")
            block[#block + 1] = code
        elseif line:match("^%s*$") then
            begin("none")
            begin("p")
        else
            begin("p")
            block[#block + 1] = line
        end
    end
    add(out, block)
    return table.concat(out, "\n"), title
end

return markdown
