return { name = (...), from = select(2, ...) }
