//! What Refloat is, and what the person may do with it.

use crate::chat::harmless::{code, harmless};
use crate::chat::words::put;
use crate::request::people::People;
use crate::request::preflight::list;
use crate::request::resource::Person;

/// The version, and the person's rights. `refused`: why the configuration as it was
/// changed does not hold, which is for those who look after Refloat.
pub(super) fn about(person: &Person, people: &People, refused: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let entry = match super::known(person, people) {
        Ok(entry) => entry,
        Err(words) => return format!("**Refloat** {version}. {words}"),
    };
    let tenants: Vec<String> = entry.tenants.iter().map(|tenant| code(tenant)).collect();
    let mut text = format!(
        "**Refloat** {version}. I know you as {}.\n- You may ask for restores of {}.\n- You {} \
         approve the restores that others ask for.\n`help` lists the commands.",
        harmless(&entry.name, 100),
        if tenants.is_empty() {
            "no tenant".to_owned()
        } else {
            list(&tenants)
        },
        if entry.reviewer { "may" } else { "may not" }
    );
    if let Some(why) = refused.filter(|_| entry.reviewer) {
        put(
            &mut text,
            format_args!(
                "\n**The configuration was changed and is refused**; what held before goes on \
                 holding: {}",
                harmless(why, 800)
            ),
        );
    }
    text
}
