//! The findings of checks, and the checks that found nothing.

use serde_json::{Value, json};

use crate::commands::times::counted;
use crate::failure::Code;
use crate::output::{Answer, Problem, table};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
    Unknown,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warn",
            Self::Unknown => "unknown",
        }
    }
}

/// The summary of a finding, and the command or setting that ends it, if it is one.
pub(super) struct Wrong {
    summary: String,
    remedy: Option<String>,
}

impl From<String> for Wrong {
    fn from(summary: String) -> Self {
        Self {
            summary,
            remedy: None,
        }
    }
}

impl From<&str> for Wrong {
    fn from(summary: &str) -> Self {
        summary.to_owned().into()
    }
}

impl<R: Into<String>> From<(String, R)> for Wrong {
    fn from((summary, remedy): (String, R)) -> Self {
        Self {
            summary,
            remedy: Some(remedy.into()),
        }
    }
}

/// Something that a check found.
struct Finding {
    check: &'static str,
    severity: Severity,
    wrong: Wrong,
    /// Where the remedy is documented.
    look: &'static str,
}

/// The results of the checks.
pub(super) struct Checks {
    /// The checks to run; all if it is empty.
    only: Vec<String>,
    findings: Vec<Finding>,
    /// The names of checks that found nothing, and details.
    passed: Vec<(&'static str, Option<String>)>,
}

impl Checks {
    pub(super) fn new(only: &[String]) -> Self {
        Self {
            only: only.to_vec(),
            findings: Vec::new(),
            passed: Vec::new(),
        }
    }

    pub(super) fn runs(&self, check: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == check)
    }

    pub(super) fn finds(
        &mut self,
        check: &'static str,
        severity: Severity,
        wrong: impl Into<Wrong>,
        look: &'static str,
    ) {
        if self.runs(check) {
            self.findings.push(Finding {
                check,
                severity,
                wrong: wrong.into(),
                look,
            });
        }
    }

    pub(super) fn passes(&mut self, check: &'static str, detail: Option<String>) {
        if self.runs(check) {
            self.passed.push((check, detail));
        }
    }

    /// Records the result of a check: its finding, or its name.
    pub(super) fn judge(
        &mut self,
        check: &'static str,
        severity: Severity,
        wrong: Option<impl Into<Wrong>>,
        look: &'static str,
    ) {
        match wrong {
            Some(wrong) => self.finds(check, severity, wrong, look),
            None => self.passes(check, None),
        }
    }

    fn count(&self, severity: Severity) -> u64 {
        let found = self.findings.iter();
        found.filter(|finding| finding.severity == severity).count() as u64
    }

    pub(super) fn answer(&self) -> Answer {
        let problem = |finding: &Finding| Problem {
            hint: Some(finding.look.to_owned()),
            ..Problem::new(finding.check, finding.wrong.summary.clone())
        };
        let errors = self.count(Severity::Error);
        Answer {
            code: if errors == 0 { Code::Good } else { Code::Bad },
            text: self.text(),
            problems: self.findings.iter().map(problem).collect(),
            data: self.data(),
        }
    }

    fn text(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for finding in &self.findings {
            let severity = finding.severity.as_str().to_owned();
            let check = finding.check.to_owned();
            rows.push(vec![severity, check, finding.wrong.summary.clone()]);
            let remedy = finding.wrong.remedy.as_ref();
            let remedy = remedy.map(|remedy| format!("set:  {remedy}"));
            let look = format!("look: {}", finding.look);
            let more = remedy.into_iter().chain([look]);
            rows.extend(more.map(|line| vec![String::new(), String::new(), line]));
        }
        let passed = self.passed.iter();
        let passed = passed.map(|(check, detail)| match detail {
            Some(detail) => format!("{check} ({detail})"),
            None => (*check).to_owned(),
        });
        if !self.passed.is_empty() {
            rows.push(vec![
                "ok".to_owned(),
                counted(self.passed.len() as u64, "check"),
                passed.collect::<Vec<_>>().join(", "),
            ]);
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        let unknown = self.count(Severity::Unknown);
        format!("{}{errors}, {warnings}, {unknown} unknown\n", table(&rows))
    }

    fn data(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "check": finding.check,
                "severity": finding.severity.as_str(),
                "summary": finding.wrong.summary,
                "remedy": finding.wrong.remedy,
                "look": finding.look,
            })
        });
        let passed = self.passed.iter();
        let passed = passed.map(|(check, detail)| json!({ "check": check, "detail": detail }));
        json!({
            "findings": findings.collect::<Vec<_>>(),
            "passed": passed.collect::<Vec<_>>(),
        })
    }
}
