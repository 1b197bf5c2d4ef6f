CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER);
CREATE TABLE book (
    id INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES author,
    title TEXT NOT NULL,
    year INTEGER
);
CREATE INDEX book_by_author ON book (author, year);

INSERT INTO author VALUES
    (1, 'Mary Shelley', 1797),
    (2, 'Jules Verne', 1828),
    (3, 'Ada Lovelace', 1815);
INSERT INTO book (author, title, year) VALUES
    (1, 'Frankenstein', 1818),
    (1, 'The Last Man', 1826),
    (2, 'Vingt mille lieues sous les mers', 1870),
    (2, 'Le Tour du monde en quatre-vingts jours', 1872),
    (3, 'Notes on the Analytical Engine', 1843);
