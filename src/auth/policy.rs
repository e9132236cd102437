//! May this caller do that? One pure function; everything else asks it.

use crate::domain::facts::words;

words!(
    /// What a signed-in person is.
    Role {
        Administrator = "administrator",
        Coordinator = "coordinator",
        DesignatedDoctor = "designated_doctor",
        OnCall = "on_call",
        /// Works for one partner agency; sees the cases that agency was alerted to.
        Agency = "agency",
        Auditor = "auditor",
    }
);
words!(
    /// What a machine's token may be used for.
    TokenScope {
        Notify = "notify",
        Read = "read",
        Write = "write",
        Acknowledge = "acknowledge",
        Export = "export",
        Metrics = "metrics",
    }
);

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody we know: the open notification page and acknowledgement links.
    Public,
    Person {
        id: uuid::Uuid,
        name: String,
        role: Role,
    },
    Machine {
        id: uuid::Uuid,
        name: String,
        scopes: Vec<TokenScope>,
    },
    /// A command on the machine itself.
    Operator,
}

/// A caller with where they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub who: Who,
    /// The area they work in; `*` for all.
    pub area: String,
    /// The agency they work for, if they are bound to one.
    pub agency: Option<String>,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Notify,
    /// Ask for a decision without storing anything.
    Assess,
    ListCases,
    ReadCase,
    /// New facts, milestones.
    ChangeCase,
    DecideJar,
    Withdraw,
    /// Enter an agency's part of the response.
    EnterPlan,
    Acknowledge,
    ReadPanels,
    ChangePanels,
    Export,
    ReadMetrics,
    ReplayDelivery,
    /// See who is on, how each is reached, what would happen.
    ReadDirectory,
    ChangeDirectory,
    /// Start and end exercises.
    Drill,
    /// Invite, disable and enable accounts, reset their factors.
    ManageUsers,
}

impl Action {
    pub const ALL: [Self; 18] = [
        Self::Notify,
        Self::Assess,
        Self::ListCases,
        Self::ReadCase,
        Self::ChangeCase,
        Self::DecideJar,
        Self::Withdraw,
        Self::EnterPlan,
        Self::Acknowledge,
        Self::ReadPanels,
        Self::ChangePanels,
        Self::Export,
        Self::ReadMetrics,
        Self::ReplayDelivery,
        Self::ReadDirectory,
        Self::ChangeDirectory,
        Self::Drill,
        Self::ManageUsers,
    ];
}

/// What the action is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Object<'a> {
    pub area: Option<&'a str>,
    /// Agencies that hold an alert of the case (or whose alert it is).
    pub agencies: &'a [&'a str],
}

impl Caller {
    #[must_use]
    pub fn public() -> Self {
        Self { who: Who::Public, area: "*".to_owned(), agency: None }
    }

    #[must_use]
    pub fn operator() -> Self {
        Self { who: Who::Operator, area: "*".to_owned(), agency: None }
    }

    /// What is written beside what they did; an identifier, never a name.
    #[must_use]
    pub fn actor(&self) -> String {
        match &self.who {
            Who::Public => "public".to_owned(),
            Who::Person { id, .. } => format!("user:{id}"),
            Who::Machine { id, .. } => format!("token:{id}"),
            Who::Operator => "operator".to_owned(),
        }
    }

    /// Whether their area covers `area`.
    #[must_use]
    pub fn covers(&self, area: &str) -> bool {
        self.area == "*" || self.area == area
    }
}

/// May `caller` do `action` to `object`? A caller of another area may do nothing to it; a caller
/// bound to an agency only where that agency holds an alert.
#[must_use]
pub fn may(caller: &Caller, action: Action, object: Object<'_>) -> bool {
    if object.area.is_some_and(|a| !caller.covers(a)) {
        return false;
    }
    let case_bound = matches!(action, Action::ReadCase | Action::Acknowledge | Action::EnterPlan);
    if case_bound
        && let Some(agency) = &caller.agency
        && !object.agencies.contains(&agency.as_str())
    {
        return false;
    }
    match &caller.who {
        Who::Operator => true,
        Who::Public => matches!(action, Action::Notify | Action::Assess),
        Who::Person { role, .. } => role_may(*role, action),
        Who::Machine { scopes, .. } => scopes.iter().any(|s| scope_may(*s, action)),
    }
}

fn role_may(role: Role, action: Action) -> bool {
    use Action as A;
    match role {
        Role::Administrator => true,
        Role::Coordinator => !matches!(action, A::ReadMetrics | A::ManageUsers),
        Role::DesignatedDoctor => {
            !matches!(action, A::Export | A::ReadMetrics | A::ChangeDirectory | A::ManageUsers)
        }
        Role::OnCall => matches!(
            action,
            A::Notify
                | A::Assess
                | A::ListCases
                | A::ReadCase
                | A::ChangeCase
                | A::DecideJar
                | A::Withdraw
                | A::EnterPlan
                | A::Acknowledge
                | A::ReadDirectory
        ),
        Role::Agency => {
            matches!(action, A::Notify | A::Assess | A::ReadCase | A::Acknowledge | A::EnterPlan)
        }
        Role::Auditor => matches!(
            action,
            A::ListCases | A::ReadCase | A::ReadPanels | A::ReadMetrics | A::ReadDirectory
        ),
    }
}

fn scope_may(scope: TokenScope, action: Action) -> bool {
    use Action as A;
    match scope {
        TokenScope::Notify => matches!(action, A::Notify | A::Assess),
        TokenScope::Read => {
            matches!(
                action,
                A::Assess | A::ListCases | A::ReadCase | A::ReadPanels | A::ReadDirectory
            )
        }
        TokenScope::Write => {
            matches!(
                action,
                A::ChangeCase
                    | A::DecideJar
                    | A::Withdraw
                    | A::EnterPlan
                    | A::ChangePanels
                    | A::ReplayDelivery
                    | A::ChangeDirectory
                    | A::Drill
            )
        }
        TokenScope::Acknowledge => action == A::Acknowledge,
        TokenScope::Export => action == A::Export,
        TokenScope::Metrics => action == A::ReadMetrics,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Role, area: &str, agency: Option<&str>) -> Caller {
        Caller {
            who: Who::Person { id: uuid::Uuid::nil(), name: String::new(), role },
            area: area.to_owned(),
            agency: agency.map(str::to_owned),
        }
    }

    #[test]
    fn nobody_reaches_into_another_area() {
        let there = Object { area: Some("southshire"), agencies: &["police"] };
        for role in Role::WORDS.iter().filter_map(|w| Role::parse(w)) {
            for action in Action::ALL {
                assert!(
                    !may(&person(role, "northshire", None), action, there),
                    "{role:?} {action:?}"
                );
            }
        }
    }

    #[test]
    fn an_agency_sees_only_what_it_was_alerted_to() {
        let police = person(Role::Agency, "northshire", Some("police"));
        let alerted = Object { area: Some("northshire"), agencies: &["police", "jar_nurse"] };
        let not = Object { area: Some("northshire"), agencies: &["jar_nurse"] };
        for action in [Action::ReadCase, Action::Acknowledge] {
            assert!(may(&police, action, alerted));
            assert!(!may(&police, action, not));
        }
        assert!(!may(&police, Action::ListCases, Object::default()));
    }

    #[test]
    fn the_matrix_is_the_reviewed_one() {
        let mut text = String::from("action");
        let roles: Vec<Role> = Role::WORDS.iter().filter_map(|w| Role::parse(w)).collect();
        for r in &roles {
            text += &[",", r.word()].concat();
        }
        text.push_str(",public\n");
        for a in Action::ALL {
            text += format!("{a:?}").as_str();
            for r in &roles {
                text.push_str(if role_may(*r, a) { ",yes" } else { ",-" });
            }
            let public = may(&Caller::public(), a, Object::default());
            text.push_str(if public { ",yes\n" } else { ",-\n" });
        }
        let reviewed = include_str!("../../tests/data/permissions.csv");
        assert_eq!(
            text, reviewed,
            "if this change is meant, review it in tests/data/permissions.csv"
        );
    }
}
