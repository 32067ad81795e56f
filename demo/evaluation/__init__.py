"""Protocols and metrics: how often is the first match right?"""

from demo.evaluation.metrics import Scores, mean_scores, score_query
from demo.evaluation.protocol import Evaluation, QueryPhoto, evaluate, leave_one_out, query_folder

__all__ = ["Evaluation", "QueryPhoto", "Scores", "evaluate", "leave_one_out", "mean_scores", "query_folder",
           "score_query"]
