use reqwest::{Request, Response};
use token_refresh_driver::{Answer, Refusal, Ruling, Session};

use crate::{
    AuthClient, Error,
    answer::peek,
    redirects::{Sender, follow},
    template::Template,
};

/// Sends a request, with a token if the rules say so, and once more with a newer one if rules and content allow it.
pub(crate) async fn run<S: Sender>(
    auth: &AuthClient,
    request: Request,
    mut sender: S,
) -> Result<Response, S::Error> {
    let (mut template, parts) = Template::of(&auth.client, request).map_err(Error::Http)?;
    let Some(mut request) = auth.rules.admit(&parts) else {
        return Ok(follow(&mut template, parts.headers, auth.max_redirects, &mut sender).await?.response);
    };
    let session = parts.extensions.get::<Session>().unwrap_or(&auth.session);
    let token = if template.is_one_shot() {
        template.wait(session.fresh_token_async()).await
    } else {
        template.wait(session.token_async()).await
    };
    let mut token = token.map_err(Error::NoToken)?;
    loop {
        let mut headers = parts.headers.clone();
        request.carry(token, &mut headers);
        let arrival = follow(&mut template, headers, auth.max_redirects, &mut sender).await?;

        let status = arrival.response.status().as_u16();
        let (mut response, beginning) = if auth.rules.peeks_at(status) {
            peek(arrival.response, Answer::MAX_PEEK).await
        } else {
            (arrival.response, Vec::new())
        };
        match auth.rules.judge(&request, status, response.headers(), &beginning, arrival.carried) {
            Ruling::Accepted(token) => {
                session.accept(token);
                return Ok(response);
            }
            Ruling::StepUpNeeded { token, step_up } => {
                session.accept(token);
                response.extensions_mut().insert(step_up);
                return Ok(response);
            }
            Ruling::Final => return Ok(response),
            Ruling::Refused { token: refused, replay } => {
                token = match template.wait(session.reject_async(refused)).await {
                    Ok(newer) => newer,
                    Err(reason) => {
                        let status = response.status();
                        let refusal = Refusal { status, response: Box::new(response), reason };
                        return Err(Error::Refused(refusal).into());
                    }
                };
                if !replay || arrival.acted || !template.is_whole() {
                    return Ok(response);
                }
                // The refusal goes here, and hyper sees to it that its connection can be used again (RPLY-09).
            }
        }
    }
}
