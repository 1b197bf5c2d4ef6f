//! Programs of this repository in other languages, each with the same three modes.

use crate::built::built;
use crate::case::Case;

/// A test per mode. Their output is compared, and says in `files` what only a file
/// system can have told.
macro_rules! languages {
    ($($module:ident $language:literal $room:expr;)*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn files() {
                let printed = Case::new(built($language), &["files"]).check(0);
                for line in ["/moved/renamed 8 ", "/soft -> moved/renamed", "/many/0900 3 "] {
                    assert!(printed.contains(line), "no '{line}'\n{printed}");
                }
            }

            #[test]
            fn heap_and_files_grow_in_turn() {
                let printed = Case::new(built($language), &["grow", "40"]).check(0);
                assert!(printed.contains(" blocks, "), "{printed}");
            }

            #[test]
            #[ignore = "large: make subjects"]
            fn heap_and_files_grow_to_hundreds_of_megabytes() {
                Case::new(built($language), &["grow", "400"]).check(0);
            }

            #[test]
            #[ignore = "large: make subjects"]
            fn files_grow_until_there_is_no_space() {
                let mut case = Case::new(built($language), &["limit", "300"]);
                for layout in case.layouts() {
                    case.max_bytes = $room.filter(|_| *layout == "single");
                    let printed = case.packed(layout).expect_success().stdout;
                    let full = "full, and more than 100 files: true\n";
                    assert_eq!(printed, format!("round 1: {full}round 2: {full}--- tree\n"));
                }
            }
        }
    )*};
}

/// Rust, Go and the program in Zig end when the heap cannot grow. In the layout `single`
/// it cannot once files have filled the memory, so those are given a limit.
const LEAVES_HEAP: Option<&str> = Some("3G");

languages! {
    rust "rust" LEAVES_HEAP;
    go "go" LEAVES_HEAP;
    zig "zig" LEAVES_HEAP;
    assemblyscript "assemblyscript" None::<&str>;
    c_old "c-old" None::<&str>;
    c_yowasp "c-yowasp" None::<&str>;
}
