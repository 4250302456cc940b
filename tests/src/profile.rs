//! What an implementation knows, so that nothing else is asked of it.

use serde::{Deserialize, Serialize};

use crate::generate::Family;
use crate::script::World;
use crate::subject::Policy;

/// What an implementation knows. What it does not is not asked of it: the rules about it are not exercised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Whether it can share its credential with other processes, through a store.
    pub shared: bool,
    /// Whether it can renew a credential that has no refresh token.
    pub ambient: bool,
    /// The ways it knows to treat a refresh token whose last presentation had no answer; at least one.
    pub policies: Vec<PolicyName>,
}

/// A [`Policy`] without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyName {
    /// [`Policy::NonRotating`].
    NonRotating,
    /// [`Policy::Once`].
    Once,
    /// [`Policy::UntilUsed`].
    UntilUsed,
    /// [`Policy::Never`].
    Never,
}

impl Default for Profile {
    /// All there is.
    fn default() -> Self {
        Self {
            shared: true,
            ambient: true,
            policies: vec![
                PolicyName::NonRotating,
                PolicyName::Once,
                PolicyName::UntilUsed,
                PolicyName::Never,
            ],
        }
    }
}

impl Profile {
    /// All there is for one process without a store.
    pub fn memory() -> Self {
        Self { shared: false, ..Self::default() }
    }

    /// The families of worlds that it knows.
    pub fn families(&self) -> &'static [Family] {
        if self.shared { &[Family::Memory, Family::Stored, Family::Several] } else { &[Family::Memory] }
    }

    /// Whether it knows everything that a world asks for.
    pub fn knows(&self, world: &World) -> bool {
        (self.shared || !world.shared)
            && (self.ambient || !world.ambient)
            && self.policies.contains(&PolicyName::of(world.policy))
    }

    /// Changes a world until it does.
    pub fn fit(&self, world: &mut World) {
        if !self.shared {
            world.shared = false;
            world.processes = 1;
        }
        world.ambient &= self.ambient;
        if !self.policies.contains(&PolicyName::of(world.policy))
            && let Some(name) = self.policies.get(usize::from(world.seed % 2 == 1)).or(self.policies.first())
        {
            world.policy = name.policy();
        }
    }
}

impl PolicyName {
    /// The name of a policy.
    pub fn of(policy: Policy) -> Self {
        match policy {
            Policy::NonRotating => Self::NonRotating,
            Policy::Once { .. } => Self::Once,
            Policy::UntilUsed => Self::UntilUsed,
            Policy::Never { .. } => Self::Never,
        }
    }

    fn policy(self) -> Policy {
        match self {
            Self::NonRotating => Policy::NonRotating,
            Self::Once => Policy::Once { window: 30_000, last_resort: true },
            Self::UntilUsed => Policy::UntilUsed,
            Self::Never => Policy::Never { last_resort: true },
        }
    }
}
