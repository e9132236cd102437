//! Identifiers made of names. They stand in addresses and lanes, so they are plain, short and
//! never change afterwards.

/// The longest identifier made of a name; room is left for a number behind it.
const LONGEST: usize = 40;

/// An identifier for something called `name` that is not yet `taken`; `gap` stands where spaces
/// were.
#[must_use]
pub fn fresh_id(name: &str, gap: char, taken: impl Fn(&str) -> bool) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        if plain.len() >= LONGEST {
            break;
        }
        if c.is_ascii_alphanumeric() {
            plain.push(c.to_ascii_lowercase());
        } else if !matches!(c, '\'' | '’' | '.') && !plain.is_empty() && !plain.ends_with(gap) {
            plain.push(gap);
        }
    }
    let plain = plain.trim_end_matches(gap);
    let plain = if plain.is_empty() { "entry" } else { plain };
    // "new" is where the empty forms live.
    let free = |id: &str| id != "new" && !taken(id);
    if free(plain) {
        return plain.to_owned();
    }
    (2..u32::MAX).map(|n| format!("{plain}{gap}{n}")).find(|id| free(id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::fresh_id;

    #[test]
    fn names_become_plain_and_unique() {
        let none = |_: &str| false;
        assert_eq!(fresh_id("Children's Social Care", '_', none), "childrens_social_care");
        assert_eq!(fresh_id("  Ada  Exampleby ", '-', none), "ada-exampleby");
        assert_eq!(fresh_id("李", '-', none), "entry");
        assert_eq!(fresh_id("New", '-', none), "new-2");
        let two = ["police", "police-2"];
        assert_eq!(fresh_id("Police", '-', |id| two.contains(&id)), "police-3");
        assert_eq!(fresh_id(&"x".repeat(300), '-', none).len(), 40);
    }
}
