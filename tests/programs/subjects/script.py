# What CPython does with its standard library and with files.
import csv
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
import zipfile
from collections import Counter
from xml.etree import ElementTree

print("library", sorted({m.__name__ for m in (json, tempfile, pathlib, shutil)}))
print("from", os.path.dirname(os.path.dirname(json.__file__)))
work = pathlib.Path("/work")

data = {"text": "größe", "list": [1, 2.5, None], "nested": {"b": 1, "a": 2}}
(work / "data.json").write_text(json.dumps(data, sort_keys=True), encoding="utf-8")
print(json.loads((work / "data.json").read_text(encoding="utf-8")) == data)

with open(work / "table.csv", "w", newline="") as file:
    csv.writer(file).writerows([[n, n * n] for n in range(100)])
with open(work / "table.csv", newline="") as file:
    print(sum(int(row[1]) for row in csv.reader(file)))

with open(work / "seek", "w+b") as file:
    file.write(bytes(range(256)) * 64)
    file.seek(-10, os.SEEK_END)
    print(file.read(3), file.tell())
    file.truncate(5000)
    print(os.fstat(file.fileno()).st_size)
with open(work / "seek", "ab") as file:
    print(file.tell(), file.write(b"appended"), file.tell())

with tempfile.TemporaryDirectory(dir="/tmp") as directory:
    for number in range(50):
        path = pathlib.Path(directory, f"d{number % 5}", f"f{number}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(number) * number)
    print(len(list(pathlib.Path(directory).rglob("f*"))))
    shutil.copytree(directory, work / "tree")
print(os.listdir("/tmp"))
with tempfile.NamedTemporaryFile() as file:
    file.write(b"temporary")
    file.flush()
    print(os.stat(file.name).st_size)

shutil.rmtree(work / "tree/d0")
shutil.move(work / "tree/d1", work / "moved")
os.symlink("moved/f11", work / "link")
print(os.readlink(work / "link"), (work / "link").read_text())
os.link(work / "seek", work / "hard")
print(os.path.samefile(work / "seek", work / "hard"), os.stat(work / "hard").st_nlink)
os.replace(work / "hard", work / "tree/replaced")

with zipfile.ZipFile(work / "some.zip", "w") as archive:
    for name in ("f2", "f7"):
        archive.writestr(zipfile.ZipInfo(name), (work / "tree/d2" / name).read_bytes())
with zipfile.ZipFile(work / "some.zip") as archive:
    print(archive.namelist(), archive.testzip())

for what, action in [
    ("open", lambda: open("/work/none")),
    ("mkdir", lambda: os.mkdir("/work/moved")),
    ("rmdir", lambda: os.rmdir("/work/moved")),
    ("listdir", lambda: os.listdir("/work/seek")),
    ("exclusive", lambda: open("/work/seek", "x")),
    ("directory", lambda: open("/work/moved", "w")),
]:
    try:
        action()
    except OSError as error:
        print(what, type(error).__name__, error.errno)

print(Counter(re.findall(r"[a-z]+", pathlib.Path("/data/packed.txt").read_text())))
print(ElementTree.fromstring("<a><b c='d'/></a>")[0].attrib)
print(sys.stdin.read().split())


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


# As tests/src/tree.rs does.
def show(directory, prefix=""):
    for name in sorted(os.listdir(directory)):
        path, shown = f"{directory}/{name}", f"{prefix}/{name}"
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            print(shown + "/")
            show(path, shown)
        elif stat.S_ISLNK(mode):
            print(shown, "->", os.readlink(path))
        else:
            data = io.open(path, "rb").read()
            print(shown, len(data), f"{fnv(data):016x}")


print(sum(len(files) for _, _, files in os.walk("/work")))
print(hashlib.sha256((work / "seek").read_bytes()).hexdigest())
print("--- tree")
show("/work")
