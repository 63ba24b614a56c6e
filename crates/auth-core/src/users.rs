//! All persons, and their groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lombard_token::ScopeSet;
use lombard_types::Timestamp;

use crate::{GroupName, PasswordHash, PersonText, RestoreError, User, UserId, UserName};

/// All persons by id and by name, and what each group may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    by_id: BTreeMap<UserId, Arc<User>>,
    by_name: BTreeMap<UserName, UserId>,
    groups: BTreeMap<GroupName, ScopeSet>,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a person known. The same person again by the same client, as a retry says it, gets the new password.
    Create {
        /// The person; the time is set by the decision.
        user: User,
        /// Most persons there may be.
        users_max: usize,
    },
    /// Changes what is known of a person, and what the person may do.
    Change {
        /// Who.
        id: UserId,
        /// As it is from now on.
        profile: Profile,
    },
    /// Replaces the password. Whoever was logged in is so no more.
    SetPassword {
        /// Whose.
        id: UserId,
        /// The new one's hash.
        password: PasswordHash,
    },
    /// Lets a person log in no more, or again. Disabling ends sessions and grants.
    SetDisabled {
        /// Who.
        id: UserId,
        /// Whether.
        is_disabled: bool,
    },
    /// Forgets a person.
    Remove {
        /// Who.
        id: UserId,
    },
    /// Makes a group, or changes what it may do.
    PutGroup {
        /// The group.
        name: GroupName,
        /// What it may do.
        scope: ScopeSet,
        /// Most groups there may be.
        groups_max: usize,
    },
    /// Removes a group that nobody is in.
    RemoveGroup {
        /// The group.
        name: GroupName,
    },
}

/// What can be changed of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What the person is called.
    pub display_name: Option<PersonText>,
    /// Where mail reaches the person.
    pub email: Option<PersonText>,
    /// What the person may do.
    pub scope: ScopeSet,
    /// The groups that the person is in.
    pub groups: BTreeSet<GroupName>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person was made known.
    Created(Arc<User>),
    /// A person was changed.
    Changed {
        /// Who.
        id: UserId,
        /// As it is now.
        profile: Profile,
    },
    /// A password was replaced; sessions ended.
    PasswordSet {
        /// Whose.
        id: UserId,
        /// The hash.
        password: PasswordHash,
    },
    /// A person may log in no more, or again.
    DisabledSet {
        /// Who.
        id: UserId,
        /// Whether.
        is_disabled: bool,
    },
    /// A person was forgotten.
    Removed {
        /// Who.
        id: UserId,
    },
    /// A group may do this.
    GroupPut {
        /// The group.
        name: GroupName,
        /// What it may do.
        scope: ScopeSet,
    },
    /// A group was removed.
    GroupRemoved {
        /// The group.
        name: GroupName,
    },
}

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The person is new.
    Created(Arc<User>),
    /// The same person was there already.
    AlreadyCreated(Arc<User>),
    /// It is as it was asked for.
    Done,
}

/// Why a command has no effect. Checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such person.
    UserNotFound,
    /// There is no such group.
    GroupNotFound,
    /// Another person has this name or this id.
    UserExists,
    /// There are as many persons as there may be.
    TooManyUsers,
    /// There are as many groups as there may be.
    TooManyGroups,
    /// There are persons in the group.
    GroupInUse,
}

type Decision = crate::Decision<Event, Reply>;

impl Users {
    /// The person with this id.
    pub fn get(&self, id: UserId) -> Option<&Arc<User>> {
        self.by_id.get(&id)
    }

    /// The person with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<User>> {
        self.get(*self.by_name.get(name)?)
    }

    /// All persons after `after`, by name.
    pub fn after<'a>(&'a self, after: Option<&'a UserName>) -> impl Iterator<Item = &'a Arc<User>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.by_name.range::<UserName, _>((from, Unbounded)).filter_map(|(_, id)| self.get(*id))
    }

    /// How many persons there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// All groups with what they may do, by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&GroupName, &ScopeSet)> {
        self.groups.iter()
    }

    /// What a group may do.
    pub fn group(&self, name: &str) -> Option<&ScopeSet> {
        self.groups.get(name)
    }

    /// All that a person may do: by name, and by the groups that the person is in.
    pub fn rights_of(&self, user: &User) -> ScopeSet {
        let of_groups = user.groups.iter().filter_map(|name| self.groups.get(name));
        user.scope.iter().chain(of_groups.flat_map(ScopeSet::iter)).cloned().collect()
    }

    /// Adds a person as it was.
    pub fn restore_user(&mut self, user: User) -> Result<(), RestoreError> {
        if self.by_name.insert(user.name.clone(), user.id).is_some()
            || self.by_id.insert(user.id, Arc::new(user)).is_some()
        {
            return Err(RestoreError::Twice);
        }
        Ok(())
    }

    /// Adds a group as it was.
    pub fn restore_group(&mut self, name: GroupName, scope: ScopeSet) -> Result<(), RestoreError> {
        match self.groups.insert(name, scope) {
            None => Ok(()),
            Some(_) => Err(RestoreError::Twice),
        }
    }

    pub(crate) fn decide(&self, command: Command, now: Timestamp) -> Result<Decision, Rejection> {
        let known = |id: UserId| self.get(id).ok_or(Rejection::UserNotFound);
        let event = match command {
            Command::Create { user, users_max } => return self.create(user, users_max, now),
            Command::Change { id, profile } => {
                let user = known(id)?;
                self.check_groups(&profile.groups)?;
                if Profile::of(user) == profile {
                    return Ok(Decision::Answer(Reply::Done));
                }
                Event::Changed { id, profile }
            }
            Command::SetPassword { id, password } => {
                known(id)?;
                Event::PasswordSet { id, password }
            }
            Command::SetDisabled { id, is_disabled } => {
                if known(id)?.is_disabled == is_disabled {
                    return Ok(Decision::Answer(Reply::Done));
                }
                Event::DisabledSet { id, is_disabled }
            }
            Command::Remove { id } => {
                known(id)?;
                Event::Removed { id }
            }
            Command::PutGroup { name, scope, groups_max } => {
                if self.groups.get(&name) == Some(&scope) {
                    return Ok(Decision::Answer(Reply::Done));
                }
                if !self.groups.contains_key(&name) && self.groups.len() >= groups_max {
                    return Err(Rejection::TooManyGroups);
                }
                Event::GroupPut { name, scope }
            }
            Command::RemoveGroup { name } => {
                if !self.groups.contains_key(&name) {
                    return Err(Rejection::GroupNotFound);
                }
                if self.by_id.values().any(|user| user.groups.contains(&name)) {
                    return Err(Rejection::GroupInUse);
                }
                Event::GroupRemoved { name }
            }
        };
        Ok(Decision::Commit(vec![event], Reply::Done))
    }

    fn create(&self, user: User, users_max: usize, now: Timestamp) -> Result<Decision, Rejection> {
        self.check_groups(&user.groups)?;
        if let Some(existing) = self.named(user.name.as_str()).or_else(|| self.get(user.id)) {
            let is_same = existing.id == user.id
                && existing.name == user.name
                && existing.created_by == user.created_by
                && Profile::of(existing) == Profile::of(&user);
            if !is_same {
                return Err(Rejection::UserExists);
            }
            let reply = Reply::AlreadyCreated(Arc::clone(existing));
            return Ok(match user.password {
                Some(password) => {
                    Decision::Commit(vec![Event::PasswordSet { id: user.id, password }], reply)
                }
                None => Decision::Answer(reply),
            });
        }
        if self.count() >= users_max {
            return Err(Rejection::TooManyUsers);
        }
        let user = Arc::new(User { created_at: now, ..user });
        Ok(Decision::Commit(vec![Event::Created(Arc::clone(&user))], Reply::Created(user)))
    }

    fn check_groups(&self, groups: &BTreeSet<GroupName>) -> Result<(), Rejection> {
        let all_are_known = groups.iter().all(|name| self.groups.contains_key(name));
        if all_are_known { Ok(()) } else { Err(Rejection::GroupNotFound) }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        let mut change = |id: &UserId, change: &dyn Fn(&mut User)| {
            if let Some(user) = self.by_id.get_mut(id) {
                change(Arc::make_mut(user));
            }
        };
        match event {
            Event::Created(user) => {
                self.by_name.insert(user.name.clone(), user.id);
                self.by_id.insert(user.id, Arc::clone(user));
            }
            Event::Changed { id, profile } => change(id, &|user| {
                let Profile { display_name, email, scope, groups } = profile.clone();
                (user.display_name, user.email) = (display_name, email);
                (user.scope, user.groups) = (scope, groups);
            }),
            Event::PasswordSet { id, password } => {
                change(id, &|user| user.password = Some(password.clone()));
            }
            Event::DisabledSet { id, is_disabled } => {
                change(id, &|user| user.is_disabled = *is_disabled);
            }
            Event::Removed { id } => {
                if let Some(user) = self.by_id.remove(id) {
                    self.by_name.remove(&user.name);
                }
            }
            Event::GroupPut { name, scope } => {
                self.groups.insert(name.clone(), scope.clone());
            }
            Event::GroupRemoved { name } => {
                self.groups.remove(name);
            }
        }
    }
}

impl Event {
    /// Whose sessions and grants end with it.
    pub(crate) fn ends_logins_of(&self) -> Option<UserId> {
        match self {
            Self::PasswordSet { id, .. }
            | Self::DisabledSet { id, is_disabled: true }
            | Self::Removed { id } => Some(*id),
            _ => None,
        }
    }
}

impl Profile {
    /// What is known of a person.
    pub fn of(user: &User) -> Self {
        Self {
            display_name: user.display_name.clone(),
            email: user.email.clone(),
            scope: user.scope.clone(),
            groups: user.groups.clone(),
        }
    }
}
