//! Just enough XML to tell whether TwiML is well formed and what it says.

/// An element: its name, attributes, and text of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub depth: usize,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// All elements in the order they open.
///
/// # Errors
/// What is not well formed.
pub fn parse(text: &str) -> Result<Vec<Element>, String> {
    if let Some(c) = text.chars().find(|c| c.is_control() && !"\t\n\r".contains(*c)) {
        return Err(format!("character {:x} is not allowed", c as u32));
    }
    let mut rest = match text.strip_prefix("<?xml ") {
        Some(r) => r.split_once("?>").ok_or("the declaration does not end")?.1,
        None => text,
    };
    let (mut all, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let Some(tag) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let said = unescape(&rest[..end])?;
            match open.last() {
                Some(i) => all[*i].text.push_str(&said),
                None if said.trim().is_empty() => {}
                None => return Err("text outside of any element".into()),
            }
            rest = &rest[end..];
            continue;
        };
        let (inside, after) = tag.split_once('>').ok_or("a tag does not end")?;
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            let i = open.pop().ok_or("a closing tag too many")?;
            if all[i].name != name {
                return Err(format!("{} is closed by {name}", all[i].name));
            }
            continue;
        }
        let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |i| (i, true));
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        if name.is_empty() || !name.chars().all(char::is_alphanumeric) {
            return Err("a tag without a name".into());
        }
        if open.is_empty() && !all.is_empty() {
            return Err("two roots".into());
        }
        all.push(Element {
            name: name.to_owned(),
            attributes: pairs(attributes)?,
            text: String::new(),
            depth: open.len(),
        });
        if !empty {
            open.push(all.len() - 1);
        }
    }
    if open.is_empty() && !all.is_empty() {
        Ok(all)
    } else {
        Err("an element is not closed".into())
    }
}

fn pairs(mut text: &str) -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    text = text.trim();
    while !text.is_empty() {
        let (name, tail) = text.split_once("=\"").ok_or("an attribute without a value")?;
        let (value, tail) = tail.split_once('"').ok_or("an attribute does not end")?;
        if value.contains('<') {
            return Err("< in an attribute".into());
        }
        out.push((name.trim().to_owned(), unescape(value)?));
        text = tail.trim_start();
    }
    Ok(out)
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, tail) = after.split_once(';').ok_or("a bare &")?;
        out.push_str(before);
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => return Err(format!("unknown entity {other}")),
        });
        rest = tail;
    }
    Ok(out + rest)
}
