//! What has happened to a case on its way to the panel, as recorded by people.

use super::facts::words;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

words!(
    /// A step on the way (process reference 6.3, readiness for panel).
    Milestone {
        ReportingForms = "reporting_forms",
        SupplementaryForms = "supplementary_forms",
        PostMortem = "post_mortem",
        Inquest = "inquest",
        CdrMeeting = "cdr_meeting",
        DraftAnalysis = "draft_analysis",
        FamilyContribution = "family_contribution",
        CriminalOrReviewHold = "criminal_or_review_hold",
        PanelReview = "panel_review",
        Finalised = "finalised",
    }
);
words!(
    /// How a step stands.
    Standing {
        /// Waited for; blocks.
        Awaited = "awaited",
        Done = "done",
        /// This case does not have this step.
        NotNeeded = "not_needed",
        /// Asked for and not to be had; recorded instead of waiting for ever.
        NotObtainable = "not_obtainable",
        /// The coroner (or whoever holds) agrees that the panel goes ahead.
        AgreedToProceed = "agreed_to_proceed",
    }
);

impl Milestone {
    /// What people call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ReportingForms => "Reporting forms",
            Self::SupplementaryForms => "Supplementary forms",
            Self::PostMortem => "Post-mortem report",
            Self::Inquest => "Inquest",
            Self::CdrMeeting => "Child death review meeting",
            Self::DraftAnalysis => "Draft analysis form",
            Self::FamilyContribution => "Family's contribution",
            Self::CriminalOrReviewHold => "Criminal or other review",
            Self::PanelReview => "Panel review",
            Self::Finalised => "Finalised",
        }
    }

    /// Steps that open the gate to the panel, in their usual order.
    pub const GATES: [Self; 8] = [
        Self::ReportingForms,
        Self::SupplementaryForms,
        Self::PostMortem,
        Self::Inquest,
        Self::CdrMeeting,
        Self::DraftAnalysis,
        Self::FamilyContribution,
        Self::CriminalOrReviewHold,
    ];
}

impl Standing {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Done => "done",
            Self::NotNeeded => "not needed",
            Self::NotObtainable => "not obtainable",
            Self::AgreedToProceed => "agreed to proceed",
        }
    }

    /// Whether the panel still waits for the step.
    #[must_use]
    pub fn blocks(self) -> bool {
        self == Self::Awaited
    }
}

/// One record of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub milestone: Milestone,
    pub standing: Standing,
    /// The day it happened, or is expected when awaited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on: Option<NaiveDate>,
    /// Category of death, 1 to 10, with a draft analysis or a review (list `category_of_death`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub category: Option<u8>,
}
