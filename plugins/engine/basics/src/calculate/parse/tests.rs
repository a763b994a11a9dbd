//! Values, faults, and that nothing else can come out.

use proptest::prelude::*;

use super::*;

#[test]
fn values() {
    for (text, value) in [
        ("1+2*3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("7 - 2 - 1", 4.0),
        ("100 / 5 / 2", 10.0),
        ("7 % 4", 3.0),
        ("-7 % 4", -3.0),
        ("2^3^2", 512.0),
        ("2**10", 1024.0),
        ("2 ** 3 * 2", 16.0),
        ("-2^2", -4.0),
        ("2^-1", 0.5),
        ("--3", 3.0),
        ("2*-3", -6.0),
        (".5 + 1.", 1.5),
        ("6.02e23", 6.02e23),
        ("1e3+1E-3", 1000.001),
        ("2*pi", consts::TAU),
        ("e", consts::E),
        ("sqrt(16) + abs(-2)", 6.0),
        ("max(1, 2, min(9, 3))", 3.0),
        ("round(2.5) + floor(-0.5) + ceil(0.2) + trunc(1.9)", 4.0),
        ("ln(e) + log10(1000) + log2(8) + exp(0)", 8.0),
        ("sin(0) + cos(0) + tan(0) + asin(0) + acos(1) + atan(0)", 1.0),
        (" \t1\n+ 1 ", 2.0),
        ("0^0", 1.0),
    ] {
        let got = evaluate(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert!((got - value).abs() <= value.abs() * 1e-12, "{text} = {got}, not {value}");
    }
}

#[test]
fn faults() {
    for text in ["1/0", "1 % 0", "1/(2-2)", "0^-1", "5 / -0"] {
        assert_eq!(evaluate(text), Err(Fault::ByZero), "{text}");
    }
    for text in [
        "sqrt(-1)",
        "ln(0)",
        "1e308*10",
        "1e999",
        "1/1e999",
        "min(sqrt(-1), 3)",
        "(-8)^(1/3)",
        "10^400",
    ] {
        assert_eq!(evaluate(text), Err(Fault::NotANumber), "{text}");
    }
    for text in ["x", "foo(1)", "pix", "2 * log(3)", "__import__"] {
        let fault = evaluate(text).unwrap_err();
        assert!(matches!(fault, Fault::Unknown(_) | Fault::Unexpected { .. }), "{text}: {fault}");
    }
    for text in [
        "", " ", "1 +", "(1", "1)", "1 2", ".", "1..2", "1e", "2pi", "sqrt()", "sqrt 4", "max(1,)",
        "1;2", "é", "٣", "1,2", "*3",
    ] {
        assert!(evaluate(text).is_err(), "{text}");
    }
    assert_eq!(evaluate("sqrt(1, 2)").unwrap_err().to_string(), "`sqrt` takes one argument, not 2");
    assert_eq!(evaluate("ü + 1").unwrap_err().to_string(), "'ü' is not expected at character 1");
    assert_eq!(evaluate("(1 + 2").unwrap_err().to_string(), "`)` is missing at character 7");
}

#[test]
fn depth_is_bounded_whatever_makes_it() {
    for unit in ["(", "-", "2^", "sqrt(", "-(", "2**-"] {
        let deep = format!("{}1", unit.repeat(4000 / unit.len()));
        assert_eq!(evaluate(&deep), Err(Fault::TooDeep), "{unit}");
    }
    let long = vec!["1"; 2000].join("+");
    assert_eq!(evaluate(&long), Ok(2000.0));
}

/// An expression with its value, `None` where there is none.
fn expression() -> impl Strategy<Value = (String, Option<f64>)> {
    let real = |value: f64| Some(value).filter(|it| it.is_finite());
    let leaf = (0..1000u32).prop_map(|n| (n.to_string(), Some(f64::from(n))));
    leaf.prop_recursive(5, 40, 2, move |inner| {
        (inner.clone(), inner, 0..6usize).prop_map(move |((left, a), (right, b), operator)| {
            let text = format!("({left}) {} ({right})", ["+", "-", "*", "/", "%", "^"][operator]);
            let value = a.zip(b).and_then(|(a, b)| match operator {
                0 => real(a + b),
                1 => real(a - b),
                2 => real(a * b),
                3 if b != 0.0 => real(a / b),
                4 if b != 0.0 => real(a % b),
                5 if a != 0.0 || b >= 0.0 => real(a.powf(b)),
                _ => None,
            });
            (text, value)
        })
    })
}

proptest! {
    #[test]
    fn it_computes_what_the_machine_does((text, value) in expression()) {
        prop_assert_eq!(evaluate(&text).ok(), value);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let value = evaluate(&text);
        prop_assert!(value.is_err() || value.is_ok_and(f64::is_finite));
    }

    #[test]
    fn no_likely_text_makes_it_panic(text in "[0-9.eE+*/%^(), -]{0,40}|([a-z0-9(]{1,5}[-+*^.,)é ]?){0,20}") {
        let value = evaluate(&text);
        prop_assert!(value.is_err() || value.is_ok_and(f64::is_finite));
    }
}
