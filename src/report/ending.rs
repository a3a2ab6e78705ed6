//! How a run ended.

/// What is said of the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub exit_code: u8,
    pub state: State,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Done,
    /// There were no files to read.
    NothingToDo,
    Interrupted,
    Failed,
}

impl State {
    /// In words, for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Done => "done",
            State::NothingToDo => "nothing to do",
            State::Interrupted => "interrupted",
            State::Failed => "failed",
        }
    }

    /// Whether all was done that there was to do.
    pub fn is_success(self) -> bool {
        matches!(self, State::Done | State::NothingToDo)
    }
}
