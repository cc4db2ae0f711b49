//! Whether everything that shall run on a machine fits it together, before anything of it starts.
//!
//! # The rule
//!
//! - **Usable** is the lowest of: the total less a safety margin, the total less the headroom that is left free before each load,
//!   and the line of a board or of this machine where one is given ([`PlanMemory`]). This is the safe threshold.
//! - **Required** of an instance is the larger of its limit and of what its model takes once it runs: its footprint.
//! - A **footprint** comes from the estimator, or is the file and half of it by the rule of thumb of older tools; [`Footprint`]
//!   has the way it was found, and what the model takes while it is loaded, which may be more.
//! - Instances start one after the other. While one is loaded, those before it hold all that they require. So the **peak** is the
//!   largest sum of what is required before an instance and what that takes as it is loaded.
//! - A plan **passes** if the sum of what is required and the peak are at most what is usable.
//!
//! [`validate`] tells all of it, with every issue in numbers, and what would mend it: limits that fit, an order of start whose peak
//! is the least, and the memory that would be enough. [`check_before_load`] asks the machine, right before a load.

mod footprint;
mod instance;
mod limits;
mod load_check;
mod memory;
mod report;
mod sizes;
mod validate;

pub use footprint::{Footprint, FootprintFormula};
pub use instance::PlannedInstance;
pub use limits::{PlanMode, RoleLimit, fitting_limits, recommend_limits};
pub use load_check::{LoadCheck, check_before_load};
pub use memory::{DEFAULT_SAFETY_MARGIN_PERCENT, PlanBound, PlanMemory, default_headroom_bytes};
pub use report::{InstanceReport, PlanIssue, PlanIssueKind, PlanReport};
pub use validate::validate;
