//! What plots have in common: round axes, short numbers, and texts that stay texts.

/// Ticks of an axis, about.
const TICKS: f64 = 4.0;

/// A round distance of ticks, and the tick at or above `most`.
pub fn scale(most: f64) -> (f64, f64) {
    if most.is_nan() || most <= 0.0 {
        return (1.0, 1.0);
    }
    let rough = most / TICKS;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
    (step, (most / step - 1e-9).ceil() * step)
}

/// The ticks from 0 to `top`.
pub fn ticks(step: f64, top: f64) -> impl Iterator<Item = f64> {
    (0..=(top / step + 1e-9) as u32).map(move |tick| f64::from(tick) * step)
}

/// Two digits after the point at most, and no zeros at their end.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text that HTML takes as text.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // What HTML cannot hold, or would turn around what follows.
            '\n' | '\t' => html.push(' '),
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                html.push('\u{fffd}');
            }
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<script>alert('x')</script> & \"ä\"\u{202e}\u{0}"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;ä&quot;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn axes_end_above_the_greatest_value_with_round_steps() {
        for most in [0.003, 0.9, 1.0, 7.3, 41.0, 100.0, 358.4, 200_000.0, 7e9] {
            let (step, top) = scale(most);
            assert!(top >= most * (1.0 - 1e-9) && top <= most + step, "{most}: {step} to {top}");
            let count = ticks(step, top).count();
            assert!((3..=7).contains(&count), "{most}: {count}");
        }
        assert_eq!(scale(358.4), (100.0, 400.0));
        assert_eq!(scale(0.0), (1.0, 1.0));
    }
}
