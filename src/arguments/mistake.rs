//! What is wrong with the arguments of a commit, and who says so.

/// Arguments that make no sense.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub message: String,
    /// Whether stock says the same to them.
    pub is_stocks: bool,
}

impl From<String> for Mistake {
    /// The words for all other arguments are stock's.
    fn from(message: String) -> Self {
        let is_stocks = true;
        Self { message, is_stocks }
    }
}
