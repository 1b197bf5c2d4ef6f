-- Markdown from stdin as a page on stdout.
local html = require("html")
local markdown = require("markdown")

if arg[1] == "--help" then
    print("usage: markdown [--page | --version] < TEXT.md")
    os.exit(0)
elseif arg[1] == "--version" then
    print("markdown " .. os.getenv("MARKDOWN_VERSION"))
    os.exit(0)
end

local body, title = markdown.convert(io.lines())
if arg[1] == "--page" then
    local file = assert(io.open("/usr/share/markdown/page.html"))
    local parts = { title = html.escape(title or "untitled"), body = body }
    body = file:read("a"):gsub("{{(%w+)}}", parts):gsub("%s+$", "")
end
print(body)
