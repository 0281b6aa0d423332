//! One evaluation of one target: forecasts kept fitted and calibrated, policies asked, plan made.
