//! The custom section `monaka.init`, which says that a module goes on where its program
//! was stopped, and how it came there.

use super::How;
use crate::report::Hinted;

/// The section's name.
pub(crate) const SECTION: &str = "monaka.init";

/// How a module was initialised: a byte, 1 for `_start` up to its checkpoint and 0 for
/// an export, whose name stands behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitRecord {
    /// By its own `_start`.
    Run,
    /// By the export of that name.
    Function(String),
}

impl InitRecord {
    pub(super) fn of(how: How<'_>) -> InitRecord {
        match how {
            How::Run => InitRecord::Run,
            How::Function(name) => InitRecord::Function(name.into()),
        }
    }

    /// The section's payload.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            InitRecord::Run => vec![1],
            InitRecord::Function(name) => [&[0], name.as_bytes()].concat(),
        }
    }

    /// Reads what [`encode`](InitRecord::encode) wrote.
    pub(crate) fn decode(payload: &[u8]) -> Option<InitRecord> {
        Some(match payload.split_first()? {
            (1, []) => InitRecord::Run,
            (0, name) => InitRecord::Function(String::from_utf8_lossy(name).into_owned()),
            _ => return None,
        })
    }

    /// The flag that asks for it.
    pub(crate) fn flag(&self) -> String {
        match self {
            InitRecord::Run => "--init-run".into(),
            InitRecord::Function(name) => format!("--init-func {name}"),
        }
    }

    /// Why nothing else can be packed into the module.
    pub(crate) fn refusal(&self) -> Hinted {
        Hinted::new(
            "it is already initialised, with the files that were packed",
            format!(
                "pack the original with {} again, and with all its directories",
                self.flag()
            ),
        )
    }
}
