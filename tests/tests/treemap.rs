//! `monaka du --html` in a browser: what is drawn, and what names can do there.
//!
//! Chromium draws the page; its picture and its document are looked at. Without
//! Chromium the tests are left out, but not where `CI=true`.

use std::collections::HashMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use monaka_tests::toolbox::{finish, mapped, monaka, skip};
use tempfile::TempDir;

fn has_chromium() -> bool {
    let version = Command::new("chromium")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success()) || skip("Chromium is not installed")
}

/// A page of a tree, in a directory.
struct Page {
    room: TempDir,
    page: PathBuf,
}

impl Page {
    /// `files` are paths and sizes; `image` is the image's name, which may have
    /// directories in it.
    fn new(files: &[(&str, usize)], image: &str) -> Page {
        let room = TempDir::new().unwrap();
        let tree = room.path().join("tree");
        fs::create_dir(&tree).unwrap();
        for (path, size) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; *size]).unwrap();
        }
        let image = room.path().join(image);
        fs::create_dir_all(image.parent().unwrap()).unwrap();
        let mut make = monaka(["image", "--no-dev", "--no-tmp", "--mapdir"]);
        finish(make.arg(mapped("/", &tree)).arg("-o").arg(&image), "").expect_success();
        let page = room.path().join("page.html");
        finish(monaka(["du"]).arg(image).arg("--html").arg(&page), "").expect_success();
        Page { room, page }
    }

    /// Has Chromium do something with the page; answers what that prints.
    fn browse(&self, at: &str, action: &str) -> String {
        let mut chromium = Command::new("chromium");
        chromium.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--window-size=1200,800",
        ]);
        let profile = self.room.path().join("profile");
        chromium.arg(format!("--user-data-dir={}", profile.display()));
        chromium.arg(action);
        chromium.arg(format!("file://{}#{at}", self.page.display()));
        finish(&mut chromium, "").expect_success().stdout
    }

    /// The document, once its script has run.
    fn document(&self, at: &str) -> String {
        self.browse(at, "--dump-dom")
    }

    /// How many pixels of each colour the page has.
    fn colours(&self, at: &str) -> HashMap<[u8; 3], usize> {
        let picture = self.room.path().join("picture.png");
        self.browse(at, &format!("--screenshot={}", picture.display()));
        pixels(&picture)
    }
}

fn pixels(picture: &Path) -> HashMap<[u8; 3], usize> {
    let file = BufReader::new(fs::File::open(picture).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let mut colours = HashMap::new();
    for pixel in bytes[..info.buffer_size()].chunks(info.color_type.samples()) {
        *colours.entry([pixel[0], pixel[1], pixel[2]]).or_default() += 1;
    }
    colours
}

/// The colours that the page gives to the kinds of files, the largest first.
const PALETTE: [[u8; 3]; 3] = [[0x4e, 0x79, 0xa7], [0xf2, 0x8e, 0x2b], [0x59, 0xa1, 0x4f]];

const SIZES: &[(&str, usize)] = &[
    ("usr/lib/a.one", 400_000),
    ("usr/lib/b.one", 200_000),
    ("usr/c.two", 300_000),
    ("etc/d.three", 100_000),
    ("etc/empty.four", 0),
];

#[test]
fn areas_are_as_the_sizes() {
    if !has_chromium() {
        return;
    }
    let page = Page::new(SIZES, "files.img");
    let colours = page.colours("");
    let [one, two, three] = PALETTE.map(|colour| colours.get(&colour).copied().unwrap_or(0) as f64);
    // What is drawn around directories and names takes a little of each.
    assert!(one + two + three > 500_000.0, "{one} {two} {three}");
    assert!((1.85..2.15).contains(&(one / two)), "{one} to {two}");
    assert!((5.3..6.8).contains(&(one / three)), "{one} to {three}");
    // One level down there is less, and it fills the same room.
    let colours = page.colours("/etc");
    let [one, two, three] = PALETTE.map(|colour| colours.get(&colour).copied().unwrap_or(0));
    assert!(
        three > 500_000 && one < 1000 && two < 1000,
        "{one} {two} {three}"
    );
}

#[test]
fn the_page_says_where_it_is() {
    if !has_chromium() {
        return;
    }
    let page = Page::new(SIZES, "files.img");
    let all = page.document("");
    assert!(
        all.contains("<div id=\"sum\">1.0 MB in 5 files</div>"),
        "{all}"
    );
    // Three directories and four files, the empty one is not drawn.
    assert!(all.contains("data-tiles=\"7\""), "{all}");
    let below = page.document("/usr");
    assert!(below.contains("900 KB in 3 files, 90 % of all"), "{below}");
    assert!(below.contains("<h2 id=\"of\">/usr</h2>"), "{below}");
    assert!(below.contains("<button>lib/</button>"), "{below}");
    assert!(below.contains("data-tiles=\"4\""), "{below}");
    // What is not there leads as far as there is something.
    assert!(
        page.document("/usr/nothing")
            .contains("<h2 id=\"of\">/usr</h2>")
    );
}

#[test]
fn names_are_text_and_nothing_else() {
    if !has_chromium() {
        return;
    }
    let files = [
        ("<img src=x onerror=\"document.title='owned'\">.x", 5000),
        ("{{TREE}}/<script>document.title='owned'<", 4000),
        ("\u{2028}\"'`${document.title='owned'}&lt;b&gt;.y", 3000),
        ("__proto__/constructor", 2000),
    ];
    // A slash can be in no name but in that of the file.
    let page = Page::new(&files, "<!--<script>/script><b>.img");
    let document = page.document("");
    assert!(document.contains("<title>monaka du</title>"), "{document}");
    assert!(document.contains("14 KB in 4 files"), "{document}");
    assert!(document.contains("&lt;img src=x onerror="), "{document}");
    let (_, body) = document.split_once("<aside>").unwrap();
    assert!(!body.contains("<img") && !body.contains("<b>"), "{body}");
}
