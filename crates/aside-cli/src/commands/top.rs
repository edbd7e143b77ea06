//! `aside top`: the health, the instances and the kinds, again and again.

use serde_json::json;

use super::{fleet, health, stats};
use crate::arguments::Top;
use crate::failure::{Code, Failure};
use crate::output::{Answer, Output};
use crate::target::Target;

pub(super) async fn run(
    target: &impl Target,
    asked: &Top,
    output: &Output,
) -> Result<Code, Failure> {
    let mut looks = 0;
    loop {
        let look = look(target).await;
        looks += 1;
        let is_last = asked.count.is_some_and(|count| count <= looks);
        let goes_on = match look {
            Ok(look) => output.screen(&look.data, &look.text)?,
            // An outage ends, so only the last look fails.
            Err(failure) if is_last => return Err(failure),
            Err(failure) => {
                let message = format!("NOT WELL  {failure}\n");
                let problem = json!({ "code": failure.code.as_str(), "message": failure.message });
                output.screen(&json!({ "problem": problem }), &message)?
            }
        };
        if is_last || !goes_on {
            return Ok(Code::Good);
        }
        tokio::time::sleep(asked.every).await;
    }
}

async fn look(target: &impl Target) -> Result<Answer, Failure> {
    let health = health::run(target).await?;
    let fleet = fleet::run(target).await?;
    let stats = stats::run(target).await?;
    let text = format!("{}\n{}\n{}", health.text, fleet.text, stats.text);
    let data = json!({ "health": health.data, "fleet": fleet.data, "stats": stats.data });
    Ok(Answer::good(text, data))
}
