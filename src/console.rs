//! Who may write to the terminal: stdout is data, stderr is talk.
