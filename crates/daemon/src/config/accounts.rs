//! Finds the user and the group that a program runs as: names and numbers of passwd(5) and group(5).
//! Only these two files are asked; whoever comes from a directory service can be given by number.

use std::fs;

use soloist_os::identity::{my_gid, my_uid};
use toml::de::DeValue;

use super::diagnostic::{Problems, quoted};
use super::suggest;
use super::tree::Value;

/// Who is known on this machine, and who we are.
pub(super) struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
    /// Our user and group.
    me: (u32, u32),
}

struct User {
    name: String,
    id: u32,
    group: u32,
}

struct Group {
    name: String,
    id: u32,
    members: Vec<String>,
}

/// As whom a program runs; what is none stays as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) groups: Vec<u32>,
}

impl Accounts {
    pub(super) fn of_system() -> Self {
        let read = |path| {
            fs::read(path).map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
        };
        Accounts::parse(&read("/etc/passwd"), &read("/etc/group"), (my_uid(), my_gid()))
    }

    fn parse(passwd: &str, group: &str, me: (u32, u32)) -> Self {
        let users = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some(User { name, id: fields.nth(1)?.parse().ok()?, group: fields.next()?.parse().ok()? })
        });
        let groups = group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let id = fields.nth(1)?.parse().ok()?;
            let members = fields.next().unwrap_or_default().split(',').map(str::to_owned).collect();
            Some(Group { name, id, members })
        });
        Accounts { users: users.collect(), groups: groups.collect(), me }
    }

    /// A user brings along the groups it is in, as a login does; a group that is given takes the place of its first one.
    pub(super) fn identity(
        &self,
        user: Option<&Value<'_>>,
        group: Option<&Value<'_>>,
        problems: &mut Problems<'_>,
    ) -> Option<Identity> {
        let users = self.users.iter().map(|user| (user.name.as_str(), user.id)).collect();
        let groups = self.groups.iter().map(|group| (group.name.as_str(), group.id)).collect();
        let user_id = user.map(|value| id(value, "user", users, problems));
        let group_id = group.map(|value| id(value, "group", groups, problems));
        let (user_id, group_id) = (all(user_id)?, all(group_id)?);
        if self.me.0 != 0 {
            let is_me = allowed(user.zip(user_id), "user", self.me.0, problems)
                && allowed(group.zip(group_id), "group", self.me.1, problems);
            // There is nothing to change, and we may not even try.
            return is_me.then(Identity::default);
        }
        let Some((value, user_id)) = user.zip(user_id) else {
            return Some(Identity { group: group_id, ..Identity::default() });
        };
        let account = self.users.iter().find(|user| user.id == user_id);
        let Some(group_id) = group_id.or(account.map(|account| account.group)) else {
            let message = format!("the user {user_id} is not in /etc/passwd, so its group is not known");
            problems.add(value.span.clone(), message, "give it one: `group = 1000`");
            return None;
        };
        let is_member = |group: &&Group| account.is_some_and(|account| group.members.contains(&account.name));
        let groups = self.groups.iter().filter(is_member).map(|group| group.id).collect();
        Some(Identity { user: Some(user_id), group: Some(group_id), groups })
    }
}

/// Nothing asked is fine, asked and not found is not.
fn all(found: Option<Option<u32>>) -> Option<Option<u32>> {
    found.map_or(Some(None), |id| id.map(Some))
}

fn allowed(asked: Option<(&Value<'_>, u32)>, noun: &str, mine: u32, problems: &mut Problems<'_>) -> bool {
    let Some((value, id)) = asked.filter(|(_, id)| *id != mine) else { return true };
    let message = format!("only root may run as another {noun} ({id}); soloist runs as {mine}");
    problems.add(value.span.clone(), message, format!("take `{noun}` out, or run soloist as root"));
    false
}

fn id(value: &Value<'_>, noun: &str, known: Vec<(&str, u32)>, problems: &mut Problems<'_>) -> Option<u32> {
    // The last number stands for nobody in setuid(2) and its like.
    const MOST: i64 = u32::MAX as i64 - 1;
    let name = match value.tree {
        DeValue::String(name) => name,
        DeValue::Integer(_) => {
            let found = value.whole(&format!("the number of a {noun}"), 0, MOST, problems)?;
            return u32::try_from(found).ok();
        }
        _ => {
            value.wrong_type("a name or a number", problems);
            return None;
        }
    };
    let found = known.iter().find(|(other, _)| other == name).map(|(_, id)| *id);
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        let help = match suggest::nearest(name, &names) {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("see /etc/{}, or write the number: `{noun} = 1000`", file(noun)),
        };
        problems.add(value.span.clone(), format!("there is no {noun} {}", quoted(name)), help);
    }
    found
}

fn file(noun: &str) -> &str {
    if noun == "user" { "passwd" } else { noun }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::super::tree::fields;
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:33:34:Web,,:/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nstaff:x:50:root,web\nlogs:x:51:web\n";

    fn ask(text: &str, me: (u32, u32)) -> Result<Identity, (String, String)> {
        let mut problems = Problems::new(text);
        let table = DeTable::parse(text).expect("it is TOML");
        let fields = fields(table.get_ref());
        let value = |key| fields.iter().find(|field| field.key == key).map(|field| &field.value);
        let accounts = Accounts::parse(PASSWD, GROUP, me);
        let found = accounts.identity(value("user"), value("group"), &mut problems);
        match problems.finish().first() {
            Some(problem) => Err((problem.message.clone(), problem.help.clone())),
            None => Ok(found.expect("neither found nor refused")),
        }
    }

    #[test]
    fn root_may_run_as_anybody_with_all_its_groups() {
        let root = (0, 0);
        let web = Identity { user: Some(33), group: Some(34), groups: vec![50, 51] };
        assert_eq!(ask("user = 'web'", root), Ok(web));
        assert_eq!(
            ask("user = 33\ngroup = 'staff'", root),
            Ok(Identity { user: Some(33), group: Some(50), groups: vec![50, 51] })
        );
        assert_eq!(
            ask("user = 7\ngroup = 8", root),
            Ok(Identity { user: Some(7), group: Some(8), groups: vec![] })
        );
        assert_eq!(ask("group = 51", root), Ok(Identity { group: Some(51), ..Identity::default() }));
    }

    #[test]
    fn others_may_run_as_themselves() {
        assert_eq!(ask("user = 'web'\ngroup = 'web'", (33, 34)), Ok(Identity::default()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, me, message, help) in [
            ("user = 'wbe'", (0, 0), "there is no user `wbe`", "did you mean `web`?"),
            ("user = 'nobody'", (0, 0), "there is no user `nobody`", "see /etc/passwd, or write the number"),
            ("group = 'stuff'", (0, 0), "there is no group `stuff`", "did you mean `staff`?"),
            ("user = 7", (0, 0), "the user 7 is not in /etc/passwd", "`group = 1000`"),
            ("user = 4294967295", (0, 0), "`4294967295` is not the number of a user", "from 0 to 4294967294"),
            ("user = true", (0, 0), "`user` is a boolean, but it must be a name or a number", "replace it"),
            (
                "user = 'root'",
                (33, 34),
                "only root may run as another user (0); soloist runs as 33",
                "as root",
            ),
            (
                "group = 'logs'",
                (33, 34),
                "only root may run as another group (51); soloist runs as 34",
                "take",
            ),
        ] {
            let (found, advice) = ask(text, me).expect_err(text);
            assert!(found.contains(message) && advice.contains(help), "{text}: {found}; {advice}");
        }
    }
}
