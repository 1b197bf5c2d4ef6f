module monaka.test/subject

go 1.22
