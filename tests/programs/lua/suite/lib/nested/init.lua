-- Found as a directory; says how it was asked for and from where.
return { name = (...), from = select(2, ...), inner = require("nested.inner") }
