//! Texts of merchants and senders, made fit to be shown.
//!
//! Owns what is taken out of a text that anybody may have written: control characters, marks that
//! turn the direction of writing (they can make a name read as another), runs of white space, and
//! what is beyond a length that a phone can show. Never escapes: that is the reader's own way.

/// Characters that a shown text has at most.
pub const CHARACTERS_MAX: usize = 120;

/// The text without what could mislead or break a line of a feed.
pub fn clean(text: &str) -> Box<str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    // Nearly every text is what it shall be already.
    if text.len() <= CHARACTERS_MAX
        && text.bytes().all(is_plain)
        && text.trim_matches(' ').len() == text.len()
        && !text.contains("  ")
    {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len().min(4 * CHARACTERS_MAX));
    let mut characters = 0;
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() {
            gap = !clean.is_empty();
            continue;
        }
        if character.is_control() || turns_direction(character) {
            continue;
        }
        let room = CHARACTERS_MAX - characters;
        let needed = 1 + usize::from(gap);
        if needed > room {
            break;
        }
        if gap {
            clean.push(' ');
        }
        clean.push(character);
        characters += needed;
        gap = false;
    }
    clean.into_boxed_str()
}

/// Marks, embeddings, overrides and isolates of the Unicode bidirectional algorithm.
fn turns_direction(character: char) -> bool {
    matches!(
        character,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no text breaks a line, turns it or fills it, and good ones stay as they are. Method: a
    /// table.
    #[test]
    fn cleaned() {
        let long = "ä".repeat(500);
        let wide = format!("{} {}", "x".repeat(119), "tail");
        for (text, then) in [
            ("", ""),
            ("Café Jelinek", "Café Jelinek"),
            ("駅前書店", "駅前書店"),
            ("مقهى", "مقهى"),
            ("  two   words \t", "two words"),
            ("a\u{0}b\r\nc\u{7f}\u{85}d", "ab c d"),
            ("\u{202E}moc.elgoog\u{202C}", "moc.elgoog"),
            ("\u{2066}x\u{2069}\u{200E}\u{200F}\u{061C}y", "xy"),
            (" \u{202E} \u{0} ", ""),
            ("a \u{202E} b", "a b"),
            ("<script>alert('&')</script>", "<script>alert('&')</script>"),
            (&long, &"ä".repeat(CHARACTERS_MAX)),
            (&wide, &"x".repeat(119)),
        ] {
            let found = clean(text);
            assert_eq!(&*found, then, "{text:?}");
            assert_eq!(clean(&found), found, "{text:?} twice");
        }
    }
}
