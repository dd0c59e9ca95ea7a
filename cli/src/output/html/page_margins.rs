//! What stands on every printed sheet: CSS Paged Media margin boxes, whose texts are CSS strings.

use careweave_protocol::desk::View;

use super::super::view::account::Account;
use super::said::css_string;
use super::words;

/// The `@page` rule of a view. Boxes are as wide as their longest line is likely to be; a longer one wraps and is not cut.
pub(super) fn style(view: &View, account: &Account) -> String {
    let patient = &view.patient;
    let ids = format!("Born {}   NHS number {}", patient.birth_date_shown, patient.nhs_number_shown);
    let mut who = vec![css_string(&ids)];
    if patient.address_restricted {
        who.push(css_string("ADDRESS RESTRICTED: do not reveal whereabouts"));
    }
    let as_at = css_string(&format!("As at {}", view.shown(view.as_at)));
    let purpose = css_string(&format!("For {} ({})", words::purpose(view.purpose), view.purpose));
    let requester = css_string(&format!("Asked by {}, {}", bounded(&view.requester), words::group(view.group)));
    let organisation = css_string(&format!("{} {}", view.asker, bounded(&view.asker_name)));
    format!(
        "@page{{\
         @top-left{{content:{name} \"\\a \" {who};}}\
         @top-right{{content:\"Page \" counter(page) \" of \" counter(pages) \"\\a \" {as_at};}}\
         @bottom-left{{content:{account};}}\
         @bottom-right{{content:{requester} \"\\a \" {organisation} \"\\a \" {purpose};}}\
         }}",
        name = css_string(&bounded(&patient.name)),
        who = who.join(" \"\\a \" "),
        account = css_string(&account.brief),
    )
}

/// A name that leaves room in the margin for the rest; on the first sheet every name stands in full.
fn bounded(name: &str) -> String {
    let mut characters = name.chars();
    let mut kept: String = characters.by_ref().take(NAME_MAX).collect();
    if characters.next().is_some() {
        kept.push_str(", cut here: see page 1");
    }
    kept
}

/// Characters of a name in the margin, two lines of it.
const NAME_MAX: usize = 120;
