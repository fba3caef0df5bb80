"""What every retraining pipeline does once the decision is made: train a challenger, compare it with the champion, promote the better one."""
