//! `--change`: what a commit changes in the configuration of the image.
//!
//! The values are read as `docker commit` reads them (moby, `BuildFromConfig`): joined by line ends, as one Dockerfile
//! of eleven instructions. What stock nerdctl takes, CMD and ENTRYPOINT as JSON arrays, keeps the meaning it has there.
//! Variables stay in until the base image's environment is known.

mod command;
mod healthcheck;
mod lexer;
mod lines;
mod onbuild;
mod pattern;
mod ports;
mod property;
mod signal;
mod stock;
mod word;
mod words;

use std::collections::HashMap;

pub use command::CommandLine;
pub use healthcheck::Healthcheck;
pub use property::Property;

use lines::Dockerfile;
use word::Word;
use words::Instruction;

use crate::arguments::mistake::Mistake;
use crate::system::text::quoted;

/// The variables of an image.
pub type Environment = HashMap<String, String>;

/// What the values of `--change` ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of the new image; `None` where the base image's stays.
    pub command: Option<CommandLine>,
    pub entrypoint: Option<CommandLine>,
    /// What stock warns of.
    pub warnings: Vec<&'static str>,
    /// The directive that stock would refuse first.
    beyond_stock: Option<String>,
    /// Each with the line it was read from.
    properties: Vec<(String, Property<Word>)>,
}

impl Changes {
    /// # Errors
    /// What stock refuses too is said in its words.
    pub fn parse(values: &[String]) -> Result<Self, Mistake> {
        // pflag reads a single empty value as no value at all.
        if values.len() < 2 && values.concat().is_empty() {
            return Ok(Self::default());
        }
        let refused = values
            .iter()
            .find_map(|value| Some((value, stock::check(value).err()?)));
        let mut changes = Self::read(values).map_err(|message| Mistake {
            is_stocks: refused.as_ref().is_some_and(|(_, words)| *words == message),
            message,
        })?;
        changes.beyond_stock = refused.and_then(|(value, _)| stock::directive(value));
        Ok(changes)
    }

    fn read(values: &[String]) -> Result<Self, String> {
        if values.iter().any(|value| value.trim().is_empty()) {
            return Err(stock::EMPTY.to_owned());
        }
        let values: Vec<String> = values
            .iter()
            .map(|value| stock::on_one_line(value))
            .collect();
        let Dockerfile { lines, escape } = lines::read(&values.join("\n"))?;
        if lines.is_empty() {
            return Err("--change has comments alone".to_owned());
        }
        let mut changes = Self::default();
        for line in lines {
            changes.add(line, escape)?;
        }
        Ok(changes)
    }

    fn add(&mut self, line: String, escape: char) -> Result<(), String> {
        let instruction = Instruction::read(&line, escape);
        match instruction.keyword.to_uppercase().as_str() {
            "CMD" => {
                if self.command.is_some() {
                    self.warnings.push(stock::SECOND_COMMAND);
                }
                self.command = command::read(&line, &instruction)?;
            }
            "ENTRYPOINT" => {
                if self.entrypoint.is_some() {
                    self.warnings.push(stock::SECOND_ENTRYPOINT);
                }
                self.entrypoint = command::read(&line, &instruction)?;
            }
            keyword if property::KEYWORDS.contains(&keyword) => {
                let property =
                    checked(&line, &instruction).map_err(|problem| wrong(&line, &problem))?;
                self.properties.push((line, property));
            }
            _ => return Err(stock::unknown(instruction.keyword)),
        }
        Ok(())
    }

    /// Why the real nerdctl, which has to make the commit for `reason`, cannot.
    pub fn refuse_delegation(&self, reason: &str) -> Option<String> {
        let directive = self.beyond_stock.as_ref()?;
        Some(format!(
            "--change with {} cannot be delegated: the real nerdctl has to make this commit ({reason}), and takes only CMD \
             and ENTRYPOINT as JSON arrays",
            quoted(directive)
        ))
    }

    /// What the instructions other than CMD and ENTRYPOINT set, in their order, in an image with these variables.
    ///
    /// # Errors
    /// A variable makes nonsense of an instruction.
    pub fn expand(&self, mut environment: Environment) -> Result<Vec<Property<String>>, String> {
        let mut expanded = Vec::with_capacity(self.properties.len());
        for (line, property) in &self.properties {
            let property = property
                .expand(&environment)
                .map_err(|problem| wrong(line, &problem))?;
            if let Property::Environment(pairs) = &property {
                environment.extend(pairs.iter().cloned());
            }
            expanded.push(property);
        }
        Ok(expanded)
    }
}

/// What needs no environment to be understood is understood now.
fn checked(line: &str, instruction: &Instruction) -> Result<Property<Word>, String> {
    let property = Property::read(instruction)?;
    if !line.contains('$') {
        property.expand(&Environment::new())?;
    }
    Ok(property)
}

fn wrong(line: &str, problem: &str) -> String {
    format!("--change {}: {problem}", quoted(line.trim()))
}

#[cfg(test)]
mod tests;
