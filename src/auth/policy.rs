//! May this caller do that? One pure function; everything else asks it.

use crate::domain::facts::words;
use crate::domain::ready::Stage;

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
        /// Notifies under an account of their own; reads nothing.
        Notifier = "notifier",
        /// Reads panels' anonymous lists, never an identity.
        PanelMember = "panel_member",
        /// Chairs the panel: reads what its members read.
        Chair = "chair",
        /// The Caldicott guardian: keeps the named lists, reviews every break-glass.
        Guardian = "guardian",
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
    /// See who looked at what and why.
    ReadAudit,
    /// Restrict a case to a named list of people, change the list, lift it.
    Restrict,
    /// Open a restricted case without being on its list.
    BreakGlass,
    /// Say of a break-glass that it was looked into.
    ReviewGlass,
    /// Place and lift legal holds.
    Hold,
    /// See what is due to be destroyed, and destroy it with somebody else.
    Retention,
    /// Copy out what a case holds about a living person.
    SubjectAccess,
    /// Make two cases of one death one, undo it, say that they are two.
    Merge,
}

impl Action {
    pub const ALL: [Self; 26] = [
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
        Self::ReadAudit,
        Self::Restrict,
        Self::BreakGlass,
        Self::ReviewGlass,
        Self::Hold,
        Self::Retention,
        Self::SubjectAccess,
        Self::Merge,
    ];
}

/// What the action is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Object<'a> {
    pub area: Option<&'a str>,
    /// Agencies that hold an alert of the case (or whose alert it is).
    pub agencies: &'a [&'a str],
    /// Where the case stands, if it is about one.
    pub stage: Option<Stage>,
    pub access: Access,
}

/// How a case stands open to a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Not restricted.
    #[default]
    Open,
    /// Restricted, and the caller is on its list.
    Named,
    /// Restricted, and the caller has broken the glass within the last hours.
    Broken,
    /// Restricted, and the caller is neither.
    Shut,
}

impl Access {
    /// Why a look was allowed, as the audit keeps it.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Open | Self::Shut => "",
            Self::Named => "named_list",
            Self::Broken => "break_glass",
        }
    }
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

    /// The role in which they act, as the audit keeps it.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match &self.who {
            Who::Public => "public",
            Who::Person { role, .. } => role.word(),
            Who::Machine { .. } => "token",
            Who::Operator => "operator",
        }
    }

    /// The account behind a signed-in person.
    #[must_use]
    pub fn person(&self) -> Option<uuid::Uuid> {
        match &self.who {
            Who::Person { id, .. } => Some(*id),
            Who::Public | Who::Machine { .. } | Who::Operator => None,
        }
    }

    /// Whether their area covers `area`.
    #[must_use]
    pub fn covers(&self, area: &str) -> bool {
        self.area == "*" || self.area == area
    }
}

/// May `caller` do `action` to `object`? A caller of another area may do nothing to it; a caller
/// bound to an agency only where that agency holds an alert; a restricted case is open to those on
/// its list only; and some roles lose a case with its stage.
#[must_use]
pub fn may(caller: &Caller, action: Action, object: Object<'_>) -> bool {
    if object.area.is_some_and(|a| !caller.covers(a)) {
        return false;
    }
    if let Some(agency) = &caller.agency {
        let alerted = object.agencies.contains(&agency.as_str());
        if is_about_a_case(action) && !alerted {
            return false;
        }
        // Whoever is bound to one agency has no business with anything wider than its cases; what
        // its own people may see besides is in their role.
        let own = matches!(caller.who, Who::Person { role: Role::Agency, .. });
        let narrow = matches!(action, Action::Notify | Action::Assess | Action::ReadMetrics);
        if !own && !narrow && !is_about_a_case(action) {
            return false;
        }
    }
    if object.access == Access::Shut && is_shut(caller, action, object.agencies) {
        return false;
    }
    // Three hours are to read and to act, not to make them last.
    if object.access == Access::Broken && is_keeping(action) && !is_guardian(caller) {
        return false;
    }
    if object.stage.is_some_and(|s| is_over(caller, action, s)) {
        return false;
    }
    match &caller.who {
        Who::Operator => true,
        Who::Public => matches!(action, Action::Notify | Action::Assess),
        Who::Person { role, .. } => role_may(*role, action),
        Who::Machine { scopes, .. } => scopes.iter().any(|s| scope_may(*s, action)),
    }
}

/// Whether an action is about one case.
fn is_about_a_case(action: Action) -> bool {
    use Action as A;
    matches!(
        action,
        A::ReadCase
            | A::ChangeCase
            | A::DecideJar
            | A::Withdraw
            | A::EnterPlan
            | A::Acknowledge
            | A::Restrict
            | A::Hold
            | A::SubjectAccess
            | A::Merge
    )
}

/// Who may open a case, and how long it is kept.
fn is_keeping(action: Action) -> bool {
    matches!(action, Action::Restrict | Action::Hold)
}

fn is_guardian(caller: &Caller) -> bool {
    matches!(caller.who, Who::Person { role: Role::Guardian, .. })
}

/// What a restriction takes from those who are not on the list. An agency still answers its own
/// alert, which says nothing about the child: a response must not fail because the case is secret.
fn is_shut(caller: &Caller, action: Action, alerted: &[&str]) -> bool {
    use Action as A;
    let own = caller.agency.as_deref().is_some_and(|a| alerted.contains(&a));
    match (&caller.who, action) {
        (Who::Operator, _) => false,
        (_, A::Acknowledge | A::EnterPlan) => !own,
        (_, action) if is_keeping(action) => !is_guardian(caller),
        (
            _,
            A::ReadCase
            | A::ChangeCase
            | A::DecideJar
            | A::Withdraw
            | A::ChangePanels
            | A::SubjectAccess
            | A::Merge
            | A::Export,
        ) => true,
        _ => false,
    }
}

/// What ends with the case's stage: on-call responders need a case until the panel has reviewed
/// it, agencies (their people and their systems) until it is closed.
fn is_over(caller: &Caller, action: Action, stage: Stage) -> bool {
    use Action as A;
    let about_a_case = is_about_a_case(action) || action == A::BreakGlass;
    about_a_case && over_for(caller).contains(&stage)
}

/// The stages from which on a case is none of the caller's business; lists leave such cases out.
#[must_use]
pub fn over_for(caller: &Caller) -> &'static [Stage] {
    match &caller.who {
        Who::Person { role: Role::OnCall, .. } => &[Stage::Reviewed, Stage::Closed],
        Who::Person { role: Role::Agency, .. } => &[Stage::Closed],
        Who::Machine { .. } if caller.agency.is_some() => &[Stage::Closed],
        _ => &[],
    }
}

fn role_may(role: Role, action: Action) -> bool {
    use Action as A;
    match role {
        Role::Administrator => {
            !matches!(action, A::Restrict | A::BreakGlass | A::ReviewGlass | A::SubjectAccess)
        }
        Role::Coordinator => !matches!(
            action,
            A::ReadMetrics | A::ReadAudit | A::ReviewGlass | A::Retention | A::ManageUsers
        ),
        Role::DesignatedDoctor => !matches!(
            action,
            A::Export
                | A::ReadMetrics
                | A::ChangeDirectory
                | A::ManageUsers
                | A::ReadAudit
                | A::Restrict
                | A::ReviewGlass
                | A::Hold
                | A::Retention
                | A::SubjectAccess
        ),
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
                | A::BreakGlass
        ),
        Role::Agency => {
            matches!(action, A::Notify | A::Assess | A::ReadCase | A::Acknowledge | A::EnterPlan)
        }
        Role::Auditor => matches!(
            action,
            A::ListCases
                | A::ReadCase
                | A::ReadPanels
                | A::ReadMetrics
                | A::ReadDirectory
                | A::ReadAudit
        ),
        Role::Notifier => matches!(action, A::Notify | A::Assess),
        Role::PanelMember | Role::Chair => {
            matches!(action, A::Notify | A::Assess | A::ReadPanels)
        }
        Role::Guardian => matches!(
            action,
            A::Notify
                | A::Assess
                | A::ListCases
                | A::ReadCase
                | A::ReadPanels
                | A::ReadDirectory
                | A::ReadAudit
                | A::Restrict
                | A::ReviewGlass
                | A::Hold
                | A::Retention
                | A::SubjectAccess
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
                    | A::Restrict
                    | A::Hold
                    | A::Merge
            )
        }
        TokenScope::Acknowledge => action == A::Acknowledge,
        TokenScope::Export => action == A::Export,
        TokenScope::Metrics => action == A::ReadMetrics,
    }
}

#[cfg(test)]
mod tests;
