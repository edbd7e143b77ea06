//! Code shared by the drafts of the three kinds.

use super::error::TaleError;
use super::input::{Echo, Input};
use super::rules::Problems;

/// Fields that a client may write.
pub trait Draft: Sized + Send + 'static {
    /// Takes the fields out of a body. A placeholder replaces each field that
    /// is missing or wrong.
    fn take(input: &mut Input<'_>) -> Self;

    /// Adds every broken rule.
    fn check(&self, problems: &mut Problems);

    /// Reads a request body.
    ///
    /// # Errors
    /// [`TaleError::Invalid`] with every field that is missing, unknown, of
    /// a wrong type or out of range.
    fn parse(body: &str) -> Result<(Self, Echo), TaleError> {
        let mut input = Input::new(body)?;
        let echo = input.echo();
        let draft = Self::take(&mut input);
        let mut problems = input.rest();
        draft.check(&mut problems);
        problems.finish()?;
        Ok((draft, echo))
    }

    /// Checks every rule.
    ///
    /// # Errors
    /// [`TaleError::Invalid`] with every field that breaks a rule.
    fn validate(&self) -> Result<(), TaleError> {
        let mut problems = Problems::default();
        self.check(&mut problems);
        problems.finish()
    }
}
