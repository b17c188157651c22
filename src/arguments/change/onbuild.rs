//! ONBUILD: an instruction for those who build on the image, checked as far as it can be without them.

use super::property::{self, Property};
use super::words::{Instruction, json_strings};

/// What only a build does.
const OF_BUILDS: [&str; 7] = ["ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL"];
/// Those that may have a here-document.
const WITH_DOCUMENTS: [&str; 3] = ["ADD", "COPY", "RUN"];

/// The instruction as typed.
///
/// # Errors
/// It is none, or none that may stand here.
pub fn read(instruction: &Instruction) -> Result<String, String> {
    let text = instruction.expect_text()?;
    let trigger = Instruction::read(text, instruction.escape);
    let keyword = trigger.keyword.to_uppercase();
    if matches!(keyword.as_str(), "FROM" | "MAINTAINER" | "ONBUILD") {
        return Err(format!("{keyword} cannot be made to wait for a build"));
    }
    if property::KEYWORDS.contains(&keyword.as_str()) {
        Property::read(&trigger)?;
    } else if OF_BUILDS.contains(&keyword.as_str()) {
        json_strings(trigger.text)?;
    } else {
        return Err(format!("{} is no instruction", trigger.keyword));
    }
    if WITH_DOCUMENTS.contains(&keyword.as_str()) && has_document(&trigger) {
        return Err("here-documents are not supported in --change".to_owned());
    }
    Ok(text.to_owned())
}

fn has_document(trigger: &Instruction) -> bool {
    let words = trigger.quoted_words();
    words.iter().any(|word| {
        let word = word.trim_start_matches(|character: char| character.is_ascii_digit());
        word.strip_prefix("<<")
            .is_some_and(|name| !name.contains('<'))
    })
}
