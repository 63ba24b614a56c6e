//! What the schema of camt.053.001.08 says of the elements that we use: which stand in which, in which order, how often, and
//! what their texts may be. Written from the message's documentation; only the part that is used.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers may panic")]

/// An element of a document without comments, processing instructions or CDATA.
#[derive(Debug)]
pub(crate) struct Element {
    name: String,
    attributes: String,
    children: Vec<Element>,
    text: String,
}

impl Element {
    /// All elements of a name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&Self> {
        let own = (self.name == name).then_some(self);
        own.into_iter().chain(self.children.iter().flat_map(|child| child.all(name))).collect()
    }

    /// The text of the first element of a name.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        &self.all(name)[0].text
    }
}

/// Reads what we write: every tag must be closed by its own, and nothing may stand outside.
pub(crate) fn parse(xml: &str) -> Element {
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    let mut open = vec![Element {
        name: String::new(),
        attributes: String::new(),
        children: Vec::new(),
        text: String::new(),
    }];
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().unwrap();
            assert_eq!(element.name, name, "closed by another tag");
            open.last_mut().unwrap().children.push(element);
        } else {
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            let (name, attributes) = (name.to_owned(), attributes.to_owned());
            open.push(Element { name, attributes, children: Vec::new(), text: text.to_owned() });
            continue;
        }
        assert!(text.trim().is_empty(), "text between elements: {text}");
    }
    let mut root = open.pop().unwrap();
    assert!(open.is_empty() && root.children.len() == 1);
    root.children.pop().unwrap()
}

/// Children in their order, each with how often at least and at most.
type Children = &'static [(&'static str, usize, usize)];
const MANY: usize = usize::MAX;

/// Of each element, found by its name and that of the one it stands in, what may be in it.
fn children(parent: &str, name: &str) -> Option<Children> {
    Some(match (parent, name) {
        (_, "Document") => &[("BkToCstmrStmt", 1, 1)],
        (_, "BkToCstmrStmt") => &[("GrpHdr", 1, 1), ("Stmt", 1, MANY)],
        (_, "GrpHdr") => &[("MsgId", 1, 1), ("CreDtTm", 1, 1)],
        (_, "Stmt") => &[
            ("Id", 1, 1),
            ("ElctrncSeqNb", 0, 1),
            ("LglSeqNb", 0, 1),
            ("CreDtTm", 0, 1),
            ("FrToDt", 0, 1),
            ("Acct", 1, 1),
            ("Bal", 1, MANY),
            ("TxsSummry", 0, 1),
            ("Ntry", 0, MANY),
        ],
        (_, "FrToDt") => &[("FrDtTm", 1, 1), ("ToDtTm", 1, 1)],
        (_, "Acct") => &[("Id", 1, 1), ("Ccy", 0, 1), ("Nm", 0, 1)],
        ("Acct", "Id") => &[("Othr", 1, 1)],
        (_, "Othr") => &[("Id", 1, 1)],
        (_, "Bal") => &[("Tp", 1, 1), ("Amt", 1, 1), ("CdtDbtInd", 1, 1), ("Dt", 1, 1)],
        (_, "Tp") => &[("CdOrPrtry", 1, 1)],
        (_, "CdOrPrtry") | (_, "Sts") => &[("Cd", 1, 1)],
        (_, "Dt" | "BookgDt" | "ValDt") => &[("DtTm", 1, 1)],
        (_, "TxsSummry") => &[("TtlNtries", 0, 1), ("TtlCdtNtries", 0, 1), ("TtlDbtNtries", 0, 1)],
        (_, "TtlNtries" | "TtlCdtNtries" | "TtlDbtNtries") => {
            &[("NbOfNtries", 0, 1), ("Sum", 0, 1)]
        }
        (_, "Ntry") => &[
            ("NtryRef", 0, 1),
            ("Amt", 1, 1),
            ("CdtDbtInd", 1, 1),
            ("RvslInd", 0, 1),
            ("Sts", 1, 1),
            ("BookgDt", 0, 1),
            ("ValDt", 0, 1),
            ("AcctSvcrRef", 0, 1),
            ("BkTxCd", 1, 1),
            ("NtryDtls", 0, MANY),
            ("AddtlNtryInf", 0, 1),
        ],
        (_, "BkTxCd") => &[("Prtry", 0, 1)],
        (_, "Prtry") => &[("Cd", 1, 1), ("Issr", 0, 1)],
        (_, "NtryDtls") => &[("TxDtls", 0, MANY)],
        (_, "TxDtls") => &[("Refs", 0, 1)],
        (_, "Refs") => &[("EndToEndId", 0, 1)],
        _ => return None,
    })
}

/// What is against the schema, one line each.
pub(crate) fn mistakes(document: &Element) -> Vec<String> {
    let mut wrong = Vec::new();
    let namespace = "xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"";
    if document.name != "Document" || document.attributes != namespace {
        wrong.push(format!("{} {}", document.name, document.attributes));
    }
    check("", document, &mut wrong);
    wrong
}

fn check(parent: &str, element: &Element, wrong: &mut Vec<String>) {
    let Element { name, text, .. } = element;
    let Some(allowed) = children(parent, name) else {
        if !element.children.is_empty() || !is_text(parent, element) {
            wrong.push(format!("{parent}/{name}: {text:?}"));
        }
        return;
    };
    if !text.trim().is_empty() {
        wrong.push(format!("{name} has text"));
    }
    let mut rest = element.children.iter().peekable();
    for (child, least, most) in allowed {
        let mut count = 0;
        while rest.next_if(|next| next.name == *child).is_some() {
            count += 1;
        }
        if count < *least || count > *most {
            wrong.push(format!("{name}: {count} of {child}"));
        }
    }
    if let Some(next) = rest.next() {
        wrong.push(format!("{name}: {} does not stand here", next.name));
    }
    element.children.iter().for_each(|child| check(name, child, wrong));
}

/// Whether a text is of its element's type.
fn is_text(parent: &str, element: &Element) -> bool {
    let text = element.text.as_str();
    let characters = text.chars().count();
    let has_currency = {
        let code = element.attributes.strip_prefix("Ccy=\"").and_then(|it| it.strip_suffix('"'));
        code.is_some_and(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()))
    };
    match (parent, element.name.as_str()) {
        ("Othr", "Id") => (1..=34).contains(&characters),
        (_, "MsgId" | "Id" | "NtryRef" | "AcctSvcrRef" | "EndToEndId" | "Issr")
        | ("Prtry", "Cd") => (1..=35).contains(&characters),
        (_, "Cd") => (1..=4).contains(&characters),
        (_, "Nm") => (1..=70).contains(&characters),
        (_, "AddtlNtryInf") => (1..=500).contains(&characters),
        (_, "Amt") => has_currency && is_amount(text),
        (_, "Sum") => is_amount(text),
        (_, "NbOfNtries") => (1..=15).contains(&characters) && is_digits(text),
        (_, "ElctrncSeqNb" | "LglSeqNb") => is_digits(text),
        (_, "Ccy") => characters == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        (_, "CdtDbtInd") => ["CRDT", "DBIT"].contains(&text),
        (_, "RvslInd") => ["true", "false"].contains(&text),
        (_, "CreDtTm" | "FrDtTm" | "ToDtTm" | "DtTm") => {
            text.parse::<lombard_types::Timestamp>().is_ok()
        }
        _ => false,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// At most 18 digits, 5 of them after the point, and not below zero.
fn is_amount(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    is_digits(whole) && is_digits(fraction) && fraction.len() <= 5 && text.len() <= 19
}
