"""Protocols and metrics: how often is the first match right?"""

from demo.evaluation.metrics import READINGS, Scores, best_possible, mean_scores, score_query
from demo.evaluation.per_query import per_query_csv, write_per_query
from demo.evaluation.protocol import QueryPhoto, leave_one_out, query_set, spread
from demo.evaluation.ranking import Ranker
from demo.evaluation.run import Evaluation, evaluate
from demo.evaluation.store import FeatureStore

__all__ = ["READINGS", "Evaluation", "FeatureStore", "QueryPhoto", "Ranker", "Scores", "best_possible", "evaluate",
           "leave_one_out", "mean_scores", "per_query_csv", "query_set", "score_query", "spread",
           "write_per_query"]
