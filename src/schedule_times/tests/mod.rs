mod cron;
mod plan;
mod runs;
mod words;
