//! The published JSON Schema of a record, made from the register so that the two cannot drift.

use super::register::{Kind, Question, code_lists, register};
use serde_json::{Map, Value, json};

/// Form, national edition and our revision.
pub const FORM: &str = "notification/2022-04/1";

/// JSON Schema (2020-12) of one notification record, published at `/schemas/notification/2022-04/1`.
#[must_use]
pub fn schema() -> Value {
    let questions: Vec<Value> = register().questions.iter().map(question).collect();
    let count = questions.len();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("/schemas/{FORM}"),
        "title": "Child death notification for NCMD",
        "description": "Our own format: no public specification of a transfer to NCMD exists. Every question keeps its id, wording, code list and answer state.",
        "type": "object",
        "required": ["form", "case_id", "sequence", "answers", "professionals", "family", "validation"],
        "additionalProperties": false,
        "properties": {
            "form": { "const": FORM },
            "case_id": { "type": "string", "minLength": 1 },
            "sequence": { "type": "integer", "minimum": 1 },
            "answers": {
                "type": "array",
                "prefixItems": questions,
                "minItems": count,
                "items": false
            },
            "professionals": { "type": "array", "items": group(&["agency", "name", "role", "telephone", "email"]) },
            "family": { "type": "array", "items": group(&["relationship", "name", "age_or_date_of_birth"]) },
            "validation": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["rule", "question", "message"],
                    "additionalProperties": false,
                    "properties": {
                        "rule": { "type": "string", "pattern": "^V[0-9]+$" },
                        "question": { "type": "string" },
                        "message": { "type": "string" }
                    }
                }
            }
        }
    })
}

fn group(names: &[&str]) -> Value {
    let properties: Map<String, Value> =
        names.iter().map(|n| ((*n).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn question(q: &Question) -> Value {
    let mut properties = json!({
        "question_id": { "const": q.id },
        "section": { "const": q.section },
        "form_wording": { "const": q.wording },
        "answer_state": { "enum": ["answered", "not_known", "not_applicable", "blank"] },
        "value": value(q),
    });
    if let (Some(list), Some(p)) = (&q.list, properties.as_object_mut()) {
        p.insert("code_list".to_owned(), json!({ "const": list }));
        p.insert("code_list_version".to_owned(), json!({ "type": "string" }));
        p.insert("label".to_owned(), json!({ "type": "string" }));
    }
    json!({
        "type": "object",
        "description": format!("{} (required: {:?}, mark: {})", q.name, q.required, q.mark),
        "required": ["question_id", "section", "form_wording", "answer_state"],
        "additionalProperties": false,
        "properties": properties,
        "if": { "properties": { "answer_state": { "const": "answered" } } },
        "then": { "required": ["value"] },
        "else": { "not": { "required": ["value"] } }
    })
}

fn value(q: &Question) -> Value {
    let codes = || -> Vec<&str> {
        let list = q.list.as_deref().and_then(|l| code_lists().get(l));
        list.map(|l| l.values.iter().map(|v| v.code.as_str()).collect()).unwrap_or_default()
    };
    match q.kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Time => json!({ "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$" }),
        Kind::Datetime => json!({ "type": "string", "format": "date-time" }),
        // A number that fails its check is exported as given, with a validation line.
        Kind::NhsNumber => json!({ "type": "string", "minLength": 1 }),
        Kind::Code => json!({ "enum": codes() }),
        Kind::Codes => {
            json!({ "type": "array", "items": { "enum": codes() }, "uniqueItems": true })
        }
    }
}
