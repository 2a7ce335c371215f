//! Completions for shells, and the generated pages of the documentation.
//!
//! Owns docs/commands.md and docs/settings.md: both are made from what the program itself reads,
//! and a test compares the files with it.

use super::{cli::Cli, topics};
use crate::config;
use crate::worker::EXIT_DONE;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::io::Write;

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tapline completions bash > ~/.local/share/bash-completion/completions/tapline\n  \
    tapline completions fish > ~/.config/fish/completions/tapline.fish")]
pub struct CompletionsArgs {
    pub shell: Shell,
}

pub fn completions(args: &CompletionsArgs) -> i32 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tapline", &mut script);
    let _ = std::io::stdout().lock().write_all(&script);
    EXIT_DONE
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// docs/commands.md
    #[default]
    Commands,
    /// docs/settings.md
    Settings,
    /// The README's table of topics
    Topics,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  tapline reference commands > docs/commands.md")]
pub struct ReferenceArgs {
    #[arg(value_enum, default_value_t)]
    pub page: Page,
}

pub fn reference(args: &ReferenceArgs) -> i32 {
    let _ = std::io::stdout().lock().write_all(page(args.page).as_bytes());
    EXIT_DONE
}

pub fn page(page: Page) -> String {
    match page {
        Page::Commands => {
            let options = clap_markdown::MarkdownOptions::new()
                .title("Commands of tapline".to_owned())
                .show_footer(false);
            let generated = clap_markdown::help_markdown_command_custom(&Cli::command(), &options);
            fenced(&generated)
        }
        Page::Settings => format!(
            "# Settings of tapline\n\n\
             Layers, the later wins: built-in defaults, `tapline.toml` (or `--config FILE`), the \
             environment, `--set KEY=VALUE`. `tapline config print` shows what is in force and \
             where it comes from.\n\n{}",
            config::reference()
        ),
        Page::Topics => topics::markdown(),
    }
}

/// Examples as blocks of code: lines that are set in after a heading of ours.
fn fenced(generated: &str) -> String {
    const HEADINGS: [&str; 3] = ["Example:", "Examples:", "First steps:"];
    let (mut page, mut in_block) = (String::new(), false);
    for line in generated.trim_end().lines().map(str::trim_end) {
        let set_in = line.strip_prefix("  ");
        if in_block && set_in.is_none() {
            page += "```\n";
            in_block = false;
        }
        page += if in_block { set_in.unwrap_or(line) } else { line };
        page += "\n";
        if HEADINGS.contains(&line) {
            page += "\n```sh\n";
            in_block = true;
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the documentation is what the program says. Method: the files against the generator.
    #[test]
    fn pages_are_generated() {
        for (file, kind, name) in [
            ("docs/commands.md", Page::Commands, "commands"),
            ("docs/settings.md", Page::Settings, "settings"),
        ] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                text == page(kind),
                "{file} is not what the program says; run `tapline reference {name} > {file}`"
            );
        }
    }

    /// Goal: the command line holds together and each command that is shown has an example, but the
    /// plainest. Method: clap's own check, and a walk over all commands.
    #[test]
    fn every_command_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        let mut without = Vec::new();
        walk(&command, "tapline", &mut without);
        let plain = ["tapline stack down", "tapline stack status", "tapline stack env"];
        without.retain(|name| !plain.contains(&name.as_str()));
        assert_eq!(without, Vec::<String>::new(), "these need an example in their help");
    }

    /// Goal: examples read as code, lists stay lists. Method: a page of each.
    #[test]
    fn examples_are_fenced() {
        assert_eq!(
            fenced("Examples:\n  a b\n  c  d\n\n* `x`\n\n  Possible values:\n"),
            "Examples:\n\n```sh\na b\nc  d\n```\n\n* `x`\n\n  Possible values:\n"
        );
    }

    fn walk(command: &clap::Command, name: &str, without: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            let name = format!("{name} {}", inner.get_name());
            if inner.has_subcommands() {
                walk(inner, &name, without);
                continue;
            }
            let help = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
            if !help.contains("Example") {
                without.push(name);
            }
        }
    }
}
