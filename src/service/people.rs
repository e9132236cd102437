//! Accounts of people: inviting, shutting, opening, resetting. Only administrators, only of their
//! area.

use super::Service;
use super::error::{ServiceError, invalid};
use crate::auth::policy::{Action, Caller, Object, Role, Who};
use crate::auth::session::fold_email;
use crate::domain::alert::{AlertKind, Channel, ContactPoint};
use crate::domain::intake::Problem;
use crate::platform::fresh;
use crate::store::changes::ChangeSet;
use crate::store::{InvitationRow, Note, PersonLine, UserRow};
use chrono::Duration;
use uuid::Uuid;

/// Somebody to be invited.
#[derive(Clone, Debug, Default)]
pub struct Invited {
    pub name: String,
    pub email: String,
    pub role: String,
    /// `*` for all.
    pub area: String,
    pub agency: Option<String>,
}

impl Service {
    /// The accounts that a caller may manage.
    ///
    /// # Errors
    /// Not allowed, or the database failed.
    pub async fn people(&self, caller: &Caller) -> Result<Vec<PersonLine>, ServiceError> {
        Self::allow(caller, Action::ManageUsers, Object::default())?;
        let all = self.store.people(self.now()).await?;
        Ok(all.into_iter().filter(|p| caller.covers(&p.area)).collect())
    }

    /// Makes an account that cannot sign in yet, and sends its owner the link to set that up.
    /// The id of the invitation.
    ///
    /// # Errors
    /// Not allowed, every field that is wrong, or not storable.
    pub async fn invite(
        &self,
        caller: &Caller,
        who: &Invited,
        hours: i64,
        mail: bool,
    ) -> Result<Uuid, ServiceError> {
        let email = fold_email(&who.email);
        self.review(who, &email)?;
        Self::allow(caller, Action::ManageUsers, of_area(&who.area))?;
        let user = UserRow {
            id: fresh::id(),
            email,
            name: who.name.trim().to_owned(),
            role: who.role.clone(),
            area: who.area.clone(),
            agency: who.agency.clone(),
            password_hash: String::new(),
            created_at: self.now(),
            disabled_at: None,
        };
        match self.send_invitation(caller, &user, true, hours, mail).await? {
            Some(id) => Ok(id),
            None => Err(invalid("email", "taken", "has an account already")),
        }
    }

    fn review(&self, who: &Invited, email: &str) -> Result<(), ServiceError> {
        let today = self.directory();
        let mut wrong = Vec::new();
        let mut refuse = |bad: bool, field: &str, code: &'static str, message: &str| {
            if bad {
                let message = message.to_owned();
                wrong.push(Problem { field: field.to_owned(), code, message });
            }
        };
        let name = who.name.trim();
        refuse(name.is_empty() || name.len() > 120, "name", "missing", "is needed");
        let plain = email.parse::<lettre::Address>().is_ok();
        refuse(!plain, "email", "not_an_address", "is not an e-mail address");
        let role = Role::parse(&who.role);
        refuse(role.is_none(), "role", "unknown", "is needed");
        let known = who.area == "*" || today.area(&who.area).is_some();
        refuse(!known, "area", "unknown", "is not an area of this service");
        let agency = who.agency.as_deref().unwrap_or_default();
        let needs = role == Some(Role::Agency);
        refuse(needs && agency.is_empty(), "agency", "missing", "is needed for this role");
        let binds = !agency.is_empty() && !needs && role.is_some();
        refuse(binds, "agency", "not_for_role", "is for the role of an agency's own people only");
        let exists = agency.is_empty() || today.agency(&who.area, agency).is_some();
        refuse(known && !exists, "agency", "unknown", "is not an agency of this area");
        if wrong.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(wrong)) }
    }

    async fn send_invitation(
        &self,
        caller: &Caller,
        user: &UserRow,
        new: bool,
        hours: i64,
        mail: bool,
    ) -> Result<Option<Uuid>, ServiceError> {
        let now = self.now();
        let row = InvitationRow {
            id: Uuid::new_v4(),
            user_id: user.id,
            invited_by: caller.actor(),
            invited_at: now,
            ends_at: now + Duration::hours(hours),
            used_at: None,
        };
        let id = row.id;
        let line = self.line(caller, "invite", user.id);
        if !self.store.invite(new.then(|| user.clone()), row, line).await? {
            return Ok(None);
        }
        if mail {
            let today = self.directory();
            let area = if user.area == "*" { today.first() } else { &user.area };
            let mut notice = self.plain_notice(area, "", AlertKind::Invitation);
            // The id alone: the link is made from it when the message goes.
            notice.code = id.to_string();
            let point = ContactPoint {
                id: format!("{area}/account/{}", user.id),
                channel: Channel::Email,
                address: user.email.clone(),
                who: String::new(),
            };
            self.announce(ChangeSet::default(), &[(notice, vec![point])]).await?;
        }
        Ok(Some(id))
    }

    /// Sends the link once more, while nothing is set up.
    ///
    /// # Errors
    /// Not allowed, not there, or set up already.
    pub async fn invite_again(
        &self,
        caller: &Caller,
        user: Uuid,
        hours: i64,
    ) -> Result<(), ServiceError> {
        let u = self.managed(caller, user).await?;
        let f = self.store.factors(user).await?;
        if !u.password_hash.is_empty() || f.has_second() || f.outside > 0 {
            return Err(invalid("user", "set_up", "has set up how to sign in; reset it instead"));
        }
        self.send_invitation(caller, &u, false, hours, true).await.map(drop)
    }

    /// Takes every way to sign in off an account, ends its sessions and sends a new link.
    ///
    /// # Errors
    /// Not allowed, not there, or not storable.
    pub async fn reset_factors(
        &self,
        caller: &Caller,
        user: Uuid,
        hours: i64,
    ) -> Result<(), ServiceError> {
        let u = self.managed(caller, user).await?;
        self.store.strip(user, self.line(caller, "reset_factors", user)).await?;
        self.send_invitation(caller, &u, false, hours, true).await.map(drop)
    }

    /// Shuts an account: its sessions end at once. Or opens it again.
    ///
    /// # Errors
    /// Not allowed, not there, one's own, or not storable.
    pub async fn set_disabled(
        &self,
        caller: &Caller,
        user: Uuid,
        disabled: bool,
    ) -> Result<(), ServiceError> {
        self.managed(caller, user).await?;
        if disabled && matches!(caller.who, Who::Person { id, .. } if id == user) {
            return Err(invalid("user", "own", "is your own account: ask another administrator"));
        }
        let action = if disabled { "disable_account" } else { "enable_account" };
        let line = self.line(caller, action, user);
        let at = disabled.then(|| self.now());
        Ok(self.store.set_disabled(user, at, line).await?)
    }

    /// An account that the caller may manage; one of another area is not there.
    async fn managed(&self, caller: &Caller, user: Uuid) -> Result<UserRow, ServiceError> {
        Self::allow(caller, Action::ManageUsers, Object::default())?;
        let found = self.store.user(user).await?;
        found.filter(|u| caller.covers(&u.area)).ok_or(ServiceError::NotFound)
    }

    fn line(&self, caller: &Caller, action: &'static str, about: Uuid) -> Note {
        Note { at: self.now(), actor: caller.actor(), action, about: Some(about) }
    }
}

/// What is to be managed lies in this area; in all of them only whoever covers all.
fn of_area(area: &str) -> Object<'_> {
    Object { area: Some(area), ..Object::default() }
}
