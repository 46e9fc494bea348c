//! `refloat order`: read and edit a tenant order, without a cluster.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::order::{
    Cron, Edit, Order, OrderError, ScheduleChange, ScheduleName, SelfHealRecord, Ttl, schedule_add,
    schedule_change, schedule_remove, self_heal_off, self_heal_restore,
};

/// Done, or there was nothing to do.
pub const DONE: u8 = 0;
/// A result could not be written.
pub const FAILED: u8 = 1;
/// The order or an argument is not valid.
pub const INVALID: u8 = 2;

/// Read and edit a tenant order, byte for byte, without a cluster.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Print what the order says, as JSON.
    Show {
        /// The order; `-` is standard input.
        file: PathBuf,
    },
    /// Turn self-heal off, or back to what it was.
    SelfHeal {
        #[command(subcommand)]
        command: SelfHealCommand,
    },
    /// Add, change or remove a backup schedule.
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
}

/// What to do with self-heal.
#[derive(Debug, Subcommand)]
pub enum SelfHealCommand {
    /// Turn self-heal off, and record what stood there before.
    Off {
        #[command(flatten)]
        target: Target,
        /// Where to write the record; one that is there stays when there is nothing to do.
        #[arg(long, value_name = "RECORD.json")]
        record: PathBuf,
    },
    /// Turn self-heal back to what the record says.
    Restore {
        #[command(flatten)]
        target: Target,
        /// The record that `off` wrote.
        #[arg(long, value_name = "RECORD.json")]
        record: PathBuf,
    },
}

/// What to do with the schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Add a schedule; a first one also gets `take_backup` and `backuplabel`.
    Add {
        #[command(flatten)]
        target: Target,
        /// The schedule's name.
        #[arg(long, allow_hyphen_values = true)]
        name: String,
        /// When it runs: five cron fields, or @daily and its like.
        #[arg(long, allow_hyphen_values = true)]
        cron: String,
        /// How long its backups are kept: 168h, 7d, 2w. Velero's own default is 720h.
        #[arg(long, allow_hyphen_values = true)]
        ttl: Option<String>,
    },
    /// Change a schedule's name, cron or ttl.
    Change {
        #[command(flatten)]
        target: Target,
        /// The schedule's name.
        #[arg(long, allow_hyphen_values = true)]
        name: String,
        /// Its new name.
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        new_name: Option<String>,
        /// When it runs from now on: five cron fields, or @daily and its like.
        #[arg(long, allow_hyphen_values = true)]
        cron: Option<String>,
        /// How long its backups are kept from now on: 168h, 7d, 2w.
        #[arg(long, allow_hyphen_values = true)]
        ttl: Option<String>,
    },
    /// Remove a schedule.
    Remove {
        #[command(flatten)]
        target: Target,
        /// The schedule's name.
        #[arg(long, allow_hyphen_values = true)]
        name: String,
    },
}

/// The order to edit, and where the result goes.
#[derive(Debug, Args)]
pub struct Target {
    /// The order; `-` is standard input.
    file: PathBuf,
    /// Print a unified diff instead of the edited file.
    #[arg(long)]
    diff: bool,
    /// Write the edited file in place of the order, atomically; prints nothing without --diff.
    #[arg(long)]
    in_place: bool,
}

/// Where the command reads and writes besides files.
struct Streams<'s> {
    stdin: &'s mut dyn Read,
    stdout: &'s mut dyn Write,
    stderr: &'s mut dyn Write,
}

/// Why a command ends without having done its work.
enum Failure {
    /// One line for each fault.
    Invalid(Vec<String>),
    /// What could not be written.
    Failed(String),
}

/// Runs a command and returns its exit code: [`DONE`], [`FAILED`] or [`INVALID`].
/// Results go to `stdout`; notes, and a line for every fault, to `stderr`.
pub fn run(
    command: OrderCommand,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let mut streams = Streams {
        stdin,
        stdout,
        stderr,
    };
    let (lines, code) = match dispatch(command, &mut streams) {
        Ok(()) => return DONE,
        Err(Failure::Invalid(lines)) => (lines, INVALID),
        Err(Failure::Failed(line)) => (vec![line], FAILED),
    };
    for line in lines {
        // There is nowhere left to report that standard error cannot be written.
        let _ = writeln!(streams.stderr, "{line}");
    }
    code
}

fn dispatch(command: OrderCommand, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match command {
        OrderCommand::Show { file } => {
            let text = read(&file, streams)?;
            let order = Order::read(&text).map_err(|error| faults(&file, &error))?;
            for note in order.notes() {
                streams.note(&file, &note)?;
            }
            let json = serde_json::to_string_pretty(&order).map_err(failed)?;
            writeln!(streams.stdout, "{json}").map_err(failed)
        }
        OrderCommand::SelfHeal { command } => match command {
            SelfHealCommand::Off { target, record } => off(&target, &record, streams),
            SelfHealCommand::Restore { target, record } => restore(&target, &record, streams),
        },
        OrderCommand::Schedule { command } => schedule(command, streams),
    }
}

fn off(target: &Target, path: &Path, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let text = target.read(streams)?;
    let (edit, record) = self_heal_off(&text).map_err(|error| faults(&target.file, &error))?;
    if !edit.changed && path.exists() {
        streams.note(path, "kept, for self-heal is off already")?;
    } else {
        // The record comes first: without it, nobody knows what to go back to.
        let json = serde_json::to_string_pretty(&record).map_err(failed)?;
        write_atomically(path, &format!("{json}\n"))?;
    }
    target.deliver(&text, &edit, streams)
}

fn restore(target: &Target, path: &Path, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let invalid =
        |error: &dyn Display| Failure::Invalid(vec![format!("{}: {error}", path.display())]);
    let json = std::fs::read_to_string(path).map_err(|error| invalid(&error))?;
    let record: SelfHealRecord = serde_json::from_str(&json)
        .map_err(|error| invalid(&format!("no record of self-heal: {error}")))?;
    let text = target.read(streams)?;
    let edit = self_heal_restore(&text, &record).map_err(|error| faults(&target.file, &error))?;
    target.deliver(&text, &edit, streams)
}

fn schedule(command: ScheduleCommand, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    match command {
        ScheduleCommand::Add {
            target,
            name,
            cron,
            ttl,
        } => {
            let name = argument(&mut wrong, "--name", ScheduleName::parse(&name));
            let cron = argument(&mut wrong, "--cron", Cron::parse(&cron));
            let ttl = ttl.map(|ttl| argument(&mut wrong, "--ttl", Ttl::parse(&ttl)));
            let (Some(name), Some(cron), true) = (name, cron, wrong.is_empty()) else {
                return Err(Failure::Invalid(wrong));
            };
            target.edit(streams, |text| {
                schedule_add(text, &name, &cron, ttl.flatten())
            })
        }
        ScheduleCommand::Change {
            target,
            name,
            new_name,
            cron,
            ttl,
        } => {
            if new_name.is_none() && cron.is_none() && ttl.is_none() {
                wrong.push("nothing to change: give --new-name, --cron or --ttl".into());
            }
            let name = argument(&mut wrong, "--name", ScheduleName::parse(&name));
            let new_name =
                new_name.map(|name| argument(&mut wrong, "--new-name", ScheduleName::parse(&name)));
            let cron = cron.map(|cron| argument(&mut wrong, "--cron", Cron::parse(&cron)));
            let ttl = ttl.map(|ttl| argument(&mut wrong, "--ttl", Ttl::parse(&ttl)));
            let (Some(name), true) = (name, wrong.is_empty()) else {
                return Err(Failure::Invalid(wrong));
            };
            let change = ScheduleChange {
                name: new_name.flatten(),
                cron: cron.flatten(),
                ttl: ttl.flatten(),
            };
            target.edit(streams, |text| schedule_change(text, &name, &change))
        }
        ScheduleCommand::Remove { target, name } => {
            let Some(name) = argument(&mut wrong, "--name", ScheduleName::parse(&name)) else {
                return Err(Failure::Invalid(wrong));
            };
            target.edit(streams, |text| schedule_remove(text, &name))
        }
    }
}

/// An argument's value; a wrong one leaves a line in `wrong`.
fn argument<T, E: Display>(wrong: &mut Vec<String>, name: &str, value: Result<T, E>) -> Option<T> {
    value
        .map_err(|error| wrong.push(format!("{name}: {error}")))
        .ok()
}

impl Target {
    fn read(&self, streams: &mut Streams<'_>) -> Result<String, Failure> {
        if self.in_place && is_stdin(&self.file) {
            let line = "--in-place: standard input cannot be written in place";
            return Err(Failure::Invalid(vec![line.into()]));
        }
        read(&self.file, streams)
    }

    fn edit(
        &self,
        streams: &mut Streams<'_>,
        edit: impl FnOnce(&str) -> Result<Edit, OrderError>,
    ) -> Result<(), Failure> {
        let text = self.read(streams)?;
        let edit = edit(&text).map_err(|error| faults(&self.file, &error))?;
        let order = Order::read(&edit.text).map_err(|error| faults(&self.file, &error))?;
        if !order.backup.schedules.is_empty() && !order.backup.is_active() {
            let note = "nothing is backed up without `take_backup: true` and a `backuplabel`";
            streams.note(&self.file, note)?;
        }
        self.deliver(&text, &edit, streams)
    }

    fn deliver(&self, before: &str, edit: &Edit, streams: &mut Streams<'_>) -> Result<(), Failure> {
        if !edit.changed {
            streams.note(&self.file, "nothing to do")?;
        }
        if self.diff {
            let diff = diff(before, &edit.text, &self.file);
            streams.stdout.write_all(diff.as_bytes()).map_err(failed)?;
        }
        if self.in_place {
            if edit.changed {
                write_atomically(&self.file, &edit.text)?;
            }
        } else if !self.diff {
            streams
                .stdout
                .write_all(edit.text.as_bytes())
                .map_err(failed)?;
        }
        streams.stdout.flush().map_err(failed)
    }
}

impl Streams<'_> {
    fn note(&mut self, file: &Path, words: &str) -> Result<(), Failure> {
        writeln!(self.stderr, "{}: {words}", name(file)).map_err(failed)
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn name(file: &Path) -> String {
    if is_stdin(file) {
        "standard input".into()
    } else {
        file.display().to_string()
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// A line for each fault: `FILE:LINE:COLUMN: KEY: what is wrong`.
fn faults(file: &Path, error: &OrderError) -> Failure {
    let line = |fault: &crate::order::Fault| {
        let colon = if fault.path.is_empty() { "" } else { ": " };
        format!(
            "{}:{}:{}: {}{colon}{}",
            name(file),
            fault.line,
            fault.column,
            fault.path,
            fault.words
        )
    };
    Failure::Invalid(error.faults().iter().map(line).collect())
}

fn read(file: &Path, streams: &mut Streams<'_>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let result = if is_stdin(file) {
        streams.stdin.read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    result.map_err(|error| Failure::Invalid(vec![format!("{}: {error}", name(file))]))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        let last = valid.rsplit(|byte| *byte == b'\n').next().unwrap_or(valid);
        let column = String::from_utf8_lossy(last).chars().count() + 1;
        let line = format!("{}:{line}:{column}: the file is not UTF-8", name(file));
        Failure::Invalid(vec![line])
    })
}

/// A diff that `git apply` and `patch -p1` take.
fn diff(before: &str, after: &str, file: &Path) -> String {
    let name = if is_stdin(file) {
        "order.yaml".into()
    } else {
        file.display().to_string()
    };
    let name = name.trim_start_matches('/');
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string()
}

/// Writes a file so that at any moment it is the old one or the new one, whole. A symbolic link stays
/// one, and the permissions stay.
fn write_atomically(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".refloat-")
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        match std::fs::metadata(&path) {
            Ok(metadata) => file.as_file().set_permissions(metadata.permissions())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    file.as_file()
                        .set_permissions(std::fs::Permissions::from_mode(0o644))?;
                }
            }
            Err(error) => return Err(error),
        }
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}
