//! `foreshard forecast`.

mod document;
mod picture;
mod question;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use foreshard_forecast::{Calibration, Config, Forecast, PeakWindow, Request, Series, fit};

use self::document::Document;
use self::question::Question;
use super::backtest::parse;
use crate::output::{self, Format};
use crate::{reading, zone};

/// Longest horizon, in seconds: the longest season that the forecaster knows. Growth over months is another question.
const HORIZON_SECONDS_MAX: i64 = 7 * 86_400;

/// Most quantiles, and most peak windows, of one forecast.
const ASKED_MAX: usize = 32;

/// Forecast a recorded load from one moment on.
///
/// Only samples before that moment are used, and the first point of the forecast is that moment, so a forecast of the
/// past can be held against what came. The result is JSON (drawn, in a terminal): the model and its weights, whether it
/// beat the seasonal-naive forecast lately (`reliable`, and why not), and the quantiles of each bin's mean. With
/// --peak, also the quantiles of the maximum over a window ahead, which is what an action has to cover.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  foreshard forecast --input load.csv.gz
  foreshard forecast --input load.csv --at 2026-03-01T06:00:00Z --horizon 6h --quantile 0.5 --quantile 0.99
  foreshard forecast --input load.csv --peak 10m/5m --timezone Europe/Berlin --output json")]
pub(crate) struct Args {
    /// Trace file, csv or csv.gz with the columns timestamp and value.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Forecast from this time on (UTC, or RFC 3339 with an offset), from samples before it; default: the file's end.
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    at: Option<i64>,
    /// How far the forecast reaches: up to 7d.
    #[arg(long, default_value = "24h", value_name = "SPAN", value_parser = horizon)]
    horizon: i64,
    /// Quantile levels, each above 0 and below 1.
    #[arg(long = "quantile", value_name = "Q", default_values = ["0.5", "0.9", "0.99"], value_parser = level)]
    quantiles: Vec<f64>,
    /// The maximum over a window that begins LEAD from now, such as 10m/5m.
    #[arg(long = "peak", value_name = "LEAD/WINDOW", value_parser = peak)]
    peaks: Vec<PeakWindow>,
    /// Time zone of the people behind the load, for days and clock changes, such as Europe/Berlin.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
}

pub(crate) fn run(args: Args, output: Format) -> anyhow::Result<ExitCode> {
    let question = Question::parse(&args)?;
    let series = reading::series(&args.input)?;
    let at = question.moment(&args.input, &series)?;
    let history = series.until(at);
    let calendar = zone::calendar(&args.timezone, series.start, at + HORIZON_SECONDS_MAX)?;
    let request = Request {
        now: at,
        horizon: question.horizon,
        levels: question.levels,
        peaks: question.peaks,
    };
    let forecast = answer(&history, &calendar, &request);
    match output {
        Format::Json => output::json(&Document::new(&forecast)?)?,
        Format::Table => output::text(&picture::draw(&history, &forecast))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Fits and predicts so that the first bin begins at the moment itself.
fn answer(
    history: &Series,
    calendar: &foreshard_forecast::Calendar,
    request: &Request,
) -> Forecast {
    let config = Config {
        peaks: request.peaks.clone(),
        ..Config::default()
    };
    let forecast_of = |history: &Series| {
        let model = fit(history, calendar, &config);
        model.predict(history, None, request, &Calibration::default())
    };
    let forecast = forecast_of(history);
    // Bins finer than the model's are averaged from the oldest on; with the oldest few left out they end at the moment.
    let late = ((request.now - forecast.start) / history.step).max(0) as usize;
    if late == 0 || late >= history.values.len() {
        return forecast;
    }
    forecast_of(&history.tail(history.values.len() - late))
}

fn horizon(text: &str) -> Result<i64, String> {
    match parse::span(text)? {
        0 => Err("nothing would be forecast: give a span such as 24h".to_owned()),
        seconds if seconds > HORIZON_SECONDS_MAX => {
            Err("too far to be forecast from daily and weekly seasons: give at most 7d".to_owned())
        }
        seconds => Ok(seconds),
    }
}

fn level(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(level) if level > 0.0 && level < 1.0 => Ok(level),
        _ => Err("give a level above 0 and below 1, such as 0.9".to_owned()),
    }
}

fn peak(text: &str) -> Result<PeakWindow, String> {
    let (lead, window) = text
        .split_once('/')
        .ok_or("give lead and window with a slash between them, such as 10m/5m")?;
    let (lead, window) = (parse::span(lead)?, parse::span(window)?);
    if window == 0 {
        return Err("give a window longer than 0 s".to_owned());
    }
    if lead.saturating_add(window) > HORIZON_SECONDS_MAX {
        return Err("give a lead and window that end within 7d".to_owned());
    }
    Ok(PeakWindow { lead, window })
}

/// As many as there may be.
fn ensure_few(count: usize, option: &str) -> anyhow::Result<()> {
    ensure!(
        count <= ASKED_MAX,
        "--{option}: given {count} times, at most {ASKED_MAX} are answered"
    );
    Ok(())
}
