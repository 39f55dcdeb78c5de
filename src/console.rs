//! Who may write to the terminal: stdout is data, stderr is talk, and this is the one place that decides.
//!
//! One `Console` is made in `main` and passed. It never knows what it prints: no verdicts, no contracts.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;

use crate::report::escape::visible;

mod gauge;
mod progress;

use progress::Manner;
pub use progress::{Bars, Counter};

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always, also into files and pipes
    Always,
    /// Never
    Never,
}

impl ColorChoice {
    /// The decision for one stream. `no_color` is the value of `NO_COLOR`, which counts where it is not empty.
    #[must_use]
    pub fn decide(self, is_terminal: bool, no_color: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && no_color.is_none_or(str::is_empty),
        }
    }
}

/// What the user asked of the console.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// `--color`
    pub color: ColorChoice,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`
    pub verbose: bool,
    /// `--no-progress`
    pub no_progress: bool,
}

/// The terminal, or what stands in its place.
pub struct Console {
    out: Out,
    talk: Box<dyn Write>,
    color_out: bool,
    color_talk: bool,
    quiet: bool,
    verbose: bool,
    /// How far a run is, to whom it may be told.
    progress: Option<Manner>,
    /// Bars stand on the terminal.
    drawn: Arc<AtomicBool>,
    out_is_terminal: bool,
}

impl Console {
    /// The process's own stdout and stderr.
    #[must_use]
    pub fn of_process(wishes: Wishes) -> Self {
        let no_color = std::env::var("NO_COLOR").ok();
        let (out, talk) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            out: Out::new(Box::new(io::stdout())),
            talk: Box::new(io::stderr()),
            color_out: wishes.color.decide(out, no_color.as_deref()),
            color_talk: wishes.color.decide(talk, no_color.as_deref()),
            quiet: wishes.quiet,
            verbose: wishes.verbose,
            progress: (!wishes.quiet && !wishes.no_progress).then(|| manner(talk)),
            drawn: Arc::default(),
            out_is_terminal: out,
        }
    }

    /// Other streams, which are no terminals.
    #[must_use]
    pub fn of_streams(out: Box<dyn Write>, talk: Box<dyn Write>, wishes: Wishes) -> Self {
        Self {
            out: Out::new(out),
            talk,
            color_out: wishes.color.decide(false, None),
            color_talk: wishes.color.decide(false, None),
            quiet: wishes.quiet,
            verbose: wishes.verbose,
            progress: None,
            drawn: Arc::default(),
            out_is_terminal: false,
        }
    }

    /// Where data goes. A reader that went away is no error: what comes then is dropped.
    pub fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Hands over what is still held back.
    ///
    /// # Errors
    /// What kept it from being written, unless the reader went away.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Whether data may be coloured.
    #[must_use]
    pub fn color(&self) -> bool {
        self.color_out
    }

    /// Whether the user wants nothing but data and errors.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// How many columns data may take, where a person sees it at once.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.out_is_terminal.then(progress::columns)
    }

    /// Whether the user wants more detail.
    #[must_use]
    pub fn verbose(&self) -> bool {
        self.verbose
    }

    /// Why something could not be done; said even when quiet.
    pub fn error(&mut self, message: &str, hint: Option<&str>) {
        self.fault(message, &[], hint);
    }

    /// The same with the lines of a file that it is about.
    pub fn fault(&mut self, message: &str, excerpt: &[&str], hint: Option<&str>) {
        self.say_all(("error", "1;31"), message, excerpt, hint);
    }

    /// What is worth a word.
    pub fn warning(&mut self, message: &str, hint: Option<&str>) {
        self.caution(message, &[], hint);
    }

    /// The same with the lines of a file that it is about.
    pub fn caution(&mut self, message: &str, excerpt: &[&str], hint: Option<&str>) {
        if !self.quiet {
            self.say_all(("warning", "1;33"), message, excerpt, hint);
        }
    }

    fn say_all(&mut self, (label, color): (&str, &str), message: &str, excerpt: &[&str], hint: Option<&str>) {
        self.say(label, color, message);
        for line in excerpt {
            self.write_talk(&format!("{}\n", visible(line)));
        }
        for line in hint.iter().flat_map(|hint| hint.lines()) {
            self.say("hint", "1;36", line);
        }
    }

    /// What happened, in passing.
    pub fn note(&mut self, message: &str) {
        if !self.quiet {
            self.write_talk(&format!("{}\n", harmless(message)));
        }
    }

    /// What only a curious reader wants.
    pub fn detail(&mut self, message: &str) {
        if self.verbose {
            self.note(message);
        }
    }

    /// How far a run is, on stderr; hidden where nobody wants to know, or where it would run into lines of data on the same
    /// terminal.
    #[must_use]
    pub fn bars(&self, data_comes_meanwhile: bool) -> Bars {
        match self.progress.filter(|_| !(data_comes_meanwhile && self.out_is_terminal)) {
            Some(manner) => Bars::start(manner, Box::new(io::stderr()), &self.drawn),
            None => Bars::hidden(),
        }
    }

    fn say(&mut self, label: &str, color: &str, message: &str) {
        let message = harmless(message);
        let line = if self.color_talk {
            format!("\u{1b}[{color}m{label}:\u{1b}[0m {message}\n")
        } else {
            format!("{label}: {message}\n")
        };
        self.write_talk(&line);
    }

    fn write_talk(&mut self, line: &str) {
        // Data comes first where both streams share a terminal. Where talk itself cannot be written there is nowhere
        // left to say so; where data cannot, the final flush says it again.
        let _ = self.out.flush();
        // Bars that are drawn stand where the line comes; they are drawn again below it.
        let line =
            if self.drawn.load(Ordering::Relaxed) { format!("{}{line}", progress::CLEAR) } else { line.to_owned() };
        let _ = self.talk.write_all(line.as_bytes());
    }
}

/// A message whose lines stay apart and in which nothing else out of data can move the cursor or hide.
fn harmless(message: &str) -> String {
    message.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Bars where they can be drawn, else a line now and then.
fn manner(talk_is_terminal: bool) -> Manner {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if talk_is_terminal && !(cfg!(unix) && dumb) { Manner::DRAWN } else { Manner::TOLD }
}

/// Buffered stdout that takes a closed pipe for the end of interest, and remembers any other failure until it is told.
struct Out {
    inner: BufWriter<Box<dyn Write>>,
    closed: bool,
    failed: Option<(io::ErrorKind, Option<i32>)>,
}

impl Out {
    fn new(inner: Box<dyn Write>) -> Self {
        Self { inner: BufWriter::with_capacity(1 << 16, inner), closed: false, failed: None }
    }

    fn settle<T>(&mut self, result: io::Result<T>, done: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(done)
            }
            Err(error) => {
                self.failed = Some((error.kind(), error.raw_os_error()));
                Err(error)
            }
            Ok(value) => Ok(value),
        }
    }

    /// The failure that was met before. A buffer that could not be written would else be tried again at the end,
    /// and half a document might follow where the first half is missing.
    fn earlier_failure(&self) -> io::Result<()> {
        match self.failed {
            Some((_, Some(code))) => Err(io::Error::from_raw_os_error(code)),
            Some((kind, None)) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.earlier_failure()?;
        if self.closed {
            return Ok(bytes.len());
        }
        let result = self.inner.write(bytes);
        self.settle(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.earlier_failure()?;
        if self.closed {
            return Ok(());
        }
        let result = self.inner.flush();
        self.settle(result, ())
    }
}

/// Takes bars away that a process which ends at once would leave behind.
pub fn clear_bars() {
    if io::stderr().is_terminal() {
        // Where the terminal is gone, so are they.
        let _ = io::stderr().write_all(progress::CLEAR.as_bytes());
    }
}

/// Makes a panic say that it is a defect of this program, in two lines; the trace follows where `RUST_BACKTRACE` asks.
pub fn explain_defects() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic
            .payload()
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.payload().downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        clear_bars();
        let place = panic.location().map_or_else(String::new, |location| format!(" ({location})"));
        let _ = writeln!(
            io::stderr(),
            "error: this is a defect of reconcile, not of your data: {said}{place}\n\
             hint: nothing is verified by this run; please report these lines together with the command"
        );
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn colour_is_decided_by_the_flag_then_the_environment_then_the_terminal() {
        let cases = [
            (ColorChoice::Auto, true, None, true),
            (ColorChoice::Auto, true, Some(""), true),
            (ColorChoice::Auto, true, Some("1"), false),
            (ColorChoice::Auto, false, None, false),
            (ColorChoice::Always, false, Some("1"), true),
            (ColorChoice::Never, true, None, false),
        ];
        for (choice, terminal, no_color, expected) in cases {
            assert_eq!(choice.decide(terminal, no_color), expected, "{choice:?} {terminal} {no_color:?}");
        }
    }

    #[test]
    fn a_quiet_console_still_says_errors() {
        let (out, talk) = (Shared::default(), Shared::default());
        let wishes = Wishes { quiet: true, ..Wishes::default() };
        let mut console = Console::of_streams(Box::new(out.clone()), Box::new(talk.clone()), wishes);
        console.note("passing");
        console.warning("careful", Some("look"));
        console.error("place: broken", Some("one\ntwo"));
        assert_eq!(talk.text(), "error: place: broken\nhint: one\nhint: two\n");
        assert_eq!(out.text(), "");
    }

    #[test]
    fn nothing_that_is_said_can_control_the_terminal() {
        let talk = Shared::default();
        let mut console = Console::of_streams(Box::new(io::sink()), Box::new(talk.clone()), Wishes::default());
        console.error("column \u{1b}[2Jx\r: first\nsecond", Some("did you mean `\u{1b}[31mred`?"));
        console.fault("place", &["   1 | a\u{202e}b"], None);
        console.note("folder \u{9b}31m is in\ttwo");
        assert_eq!(
            talk.text(),
            "error: column \\u{1b}[2Jx\\r: first\nsecond\nhint: did you mean `\\u{1b}[31mred`?\nerror: place\n   1 | a\\u{202e}b\n\
             folder \\u{9b}31m is in\\ttwo\n"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        for (kind, fails) in [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)] {
            let mut console = Console::of_streams(Box::new(Broken(kind)), Box::new(io::sink()), Wishes::default());
            let written = console.out().write_all(&vec![b'x'; 1 << 20]).and_then(|()| console.flush());
            assert_eq!(written.is_err(), fails, "{kind:?}");
            assert_eq!(console.flush().is_err(), fails, "{kind:?} at the end");
        }
    }

    #[test]
    fn other_streams_are_not_told_how_far_it_is() {
        let talk = Shared::default();
        let console = Console::of_streams(Box::new(io::sink()), Box::new(talk.clone()), Wishes::default());
        let bars = console.bars(false);
        bars.begin("orders", "reading", 10);
        bars.advance(1, 1);
        drop(bars);
        assert_eq!(talk.text(), "");
    }

    #[test]
    fn a_word_takes_the_place_of_bars_that_are_drawn() {
        let talk = Shared::default();
        let mut console = Console::of_streams(Box::new(Shared::default()), Box::new(talk.clone()), Wishes::default());
        console.note("one");
        console.drawn.store(true, Ordering::Relaxed);
        console.warning("two", None);
        assert_eq!(talk.text(), format!("one\n{}warning: two\n", progress::CLEAR));
    }
}
