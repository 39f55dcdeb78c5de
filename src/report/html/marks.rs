//! Where two texts part: the pieces of each, those that the other lacks marked. By words first, then by characters within a
//! pair of words that stand for each other. It never says that what is not marked would be equal under a contract.

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Piece {
    /// What it says.
    pub(crate) text: String,
    /// The other text does not have it here.
    pub(crate) marked: bool,
}

/// Beyond so many words the middle of a text is marked as one piece.
const WORDS: usize = 400;

/// The pieces of both texts.
pub(crate) fn pieces(one: &str, other: &str) -> (Vec<Piece>, Vec<Piece>) {
    let (words, others) = (words(one), words(other));
    let head = words.iter().zip(&others).take_while(|(word, other)| word == other).count();
    let most = words.len().min(others.len()) - head;
    let tail = words.iter().rev().zip(others.iter().rev()).take(most).take_while(|(word, other)| word == other).count();
    let mut sides = (Pieces::default(), Pieces::default());
    let both = |sides: &mut (Pieces, Pieces), text: &str| {
        sides.0.add(text, false);
        sides.1.add(text, false);
    };
    words[..head].iter().for_each(|word| both(&mut sides, word));
    let (middle, across) = (&words[head..words.len() - tail], &others[head..others.len() - tail]);
    for (ours, theirs) in runs(middle, across) {
        if ours == theirs {
            both(&mut sides, &ours);
        } else {
            characters(&ours, &theirs, &mut sides);
        }
    }
    words[words.len() - tail..].iter().for_each(|word| both(&mut sides, word));
    (sides.0.0, sides.1.0)
}

/// Pieces, of which neighbours of one sort are one.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn add(&mut self, text: &str, marked: bool) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.marked == marked => last.text.push_str(text),
            _ => self.0.push(Piece { text: text.to_owned(), marked }),
        }
    }
}

/// Marks what lies between the common beginning and the common end.
fn characters(ours: &str, theirs: &str, sides: &mut (Pieces, Pieces)) {
    let (one, other): (Vec<char>, Vec<char>) = (ours.chars().collect(), theirs.chars().collect());
    let head = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let most = one.len().min(other.len()) - head;
    let tail = one.iter().rev().zip(other.iter().rev()).take(most).take_while(|(one, other)| one == other).count();
    for (side, text) in [(&mut sides.0, &one), (&mut sides.1, &other)] {
        let part = |range: std::ops::Range<usize>| text[range].iter().collect::<String>();
        side.add(&part(0..head), false);
        side.add(&part(head..text.len() - tail), true);
        side.add(&part(text.len() - tail..text.len()), false);
    }
}

/// Words, numbers and each other character.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut within = false;
    for (at, character) in text.char_indices() {
        let wordly = character.is_alphanumeric() || character == '_';
        if at > start && !(wordly && within) {
            words.push(&text[start..at]);
            start = at;
        }
        within = wordly;
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}

/// What stands for what, in order: equal runs, and runs of which each stands in place of the other.
fn runs(one: &[&str], other: &[&str]) -> Vec<(String, String)> {
    if one.len().max(other.len()) > WORDS {
        return vec![(one.concat(), other.concat())];
    }
    // lengths[i][j]: how many words the rests after i and j have in common.
    let mut lengths = vec![vec![0_u16; other.len() + 1]; one.len() + 1];
    for (i, word) in one.iter().enumerate().rev() {
        for (j, across) in other.iter().enumerate().rev() {
            lengths[i][j] =
                if word == across { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut runs: Vec<(String, String)> = Vec::new();
    let (mut ours, mut theirs) = (String::new(), String::new());
    while i < one.len() || j < other.len() {
        if i < one.len() && j < other.len() && one[i] == other[j] {
            if !ours.is_empty() || !theirs.is_empty() {
                runs.push((std::mem::take(&mut ours), std::mem::take(&mut theirs)));
            }
            runs.push((one[i].to_owned(), other[j].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if j >= other.len() || (i < one.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            ours.push_str(one[i]);
            i += 1;
        } else {
            theirs.push_str(other[j]);
            j += 1;
        }
    }
    runs.push((ours, theirs));
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(one: &str, other: &str) -> (String, String) {
        let text = |pieces: Vec<Piece>| -> String {
            pieces
                .iter()
                .map(|piece| if piece.marked { format!("[{}]", piece.text) } else { piece.text.clone() })
                .collect()
        };
        let (one, other) = pieces(one, other);
        (text(one), text(other))
    }

    #[test]
    fn what_differs_is_marked_and_nothing_else() {
        let cases = [
            ("1204.50", "1204.05", "1204.[50]", "1204.[05]"),
            ("1204.50", "1204.60", "1204.[5]0", "1204.[6]0"),
            ("Via Roma 12, Milano", "Via Roma 21, Milano", "Via Roma [12], Milano", "Via Roma [21], Milano"),
            ("a long and old text", "a long text", "a long [and old ]text", "a long text"),
            ("same", "same", "same", "same"),
            ("", "new", "", "[new]"),
            ("größe", "grösse", "grö[ß]e", "grö[ss]e"),
            ("one two three", "one 2 three 4", "one [two] three", "one [2] three[ 4]"),
        ];
        for (one, other, ours, theirs) in cases {
            assert_eq!(shown(one, other), (ours.to_owned(), theirs.to_owned()), "{one} | {other}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_the_text_and_what_is_not_marked_is_common(one in "[ab .ß]{0,40}", other in "[ab .ß]{0,40}") {
            let (ours, theirs) = pieces(&one, &other);
            let whole = |pieces: &[Piece]| pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
            let common = |pieces: &[Piece]| {
                pieces.iter().filter(|piece| !piece.marked).map(|piece| piece.text.as_str()).collect::<String>()
            };
            prop_assert_eq!(whole(&ours), one.clone());
            prop_assert_eq!(whole(&theirs), other.clone());
            prop_assert_eq!(common(&ours), common(&theirs));
            prop_assert_eq!(ours.iter().chain(&theirs).any(|piece| piece.marked), one != other);
        }
    }
}
